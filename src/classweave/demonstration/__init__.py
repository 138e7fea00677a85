"""The demonstration: a school, a lesson on real speech, and a report of what was heard."""
