"""What the supervisor's snapshot says, shown: as text, again and again, and as metrics."""
