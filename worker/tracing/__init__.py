"""Spans of OpenTelemetry, where they are asked for."""
