"""Attend: attendance taken on devices that are offline for hours; nothing is lost or doubled."""
