"""Measures of discussion, from words and times alone. No database, no web."""
