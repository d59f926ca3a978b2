"""The doors: HTTP, WebSocket and SSE transports, files, health, start page."""
