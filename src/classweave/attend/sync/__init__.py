"""The protocol of docs/attendance-sync.md."""
