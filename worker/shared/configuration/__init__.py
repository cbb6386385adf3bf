"""Settings, read and validated once, in the supervisor."""
