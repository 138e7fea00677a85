"""The JSON and WebSocket interface of Live."""
