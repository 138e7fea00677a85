"""Background work of Attend."""
