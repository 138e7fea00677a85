"""Consent, retention, data rights, and the proof that the audit trail is whole."""
