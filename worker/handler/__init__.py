"""The user's function: found, called, and what comes before it (decoding, validation) and with it (context)."""
