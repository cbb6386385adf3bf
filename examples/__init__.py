"""Handlers to read, each of which runs as it stands: see README.md."""
