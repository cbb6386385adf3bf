"""What a message must be before its handler is called: its size, a JSON Schema, a type."""
