"""Live: group discussions heard, transcribed, measured and guided."""
