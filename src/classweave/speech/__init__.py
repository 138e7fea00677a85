"""Audio in, words out; words in, audio out. No database, no web."""
