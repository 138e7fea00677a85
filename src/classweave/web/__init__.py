"""The shell around pages and routes. Knows no table of the rooms above it."""
