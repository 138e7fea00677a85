"""Organisations, people, classes and enrolments, and how a person signs in."""
