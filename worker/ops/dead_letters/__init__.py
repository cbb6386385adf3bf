"""The command `dead-letters`."""
