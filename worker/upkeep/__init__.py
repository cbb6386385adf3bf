"""What is looked at once a heartbeat: memory, recycling, the number of threads, calls that take too long."""
