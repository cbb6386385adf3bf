"""Whoever asks, at the control socket or by HTTP: what they are told, and what they may order."""
