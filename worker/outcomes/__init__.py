"""What becomes of a task that failed, or that has something to send."""
