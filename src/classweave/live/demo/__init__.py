"""The demo school: one lesson, four groups with sound, and what is known of each beforehand."""
