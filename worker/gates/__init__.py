"""Which partitions are served, and by how many permits: circuit breakers and the rate limit."""
