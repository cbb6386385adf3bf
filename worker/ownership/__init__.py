"""Which partitions are ours: what is known of them when they come, and what of them is committed."""
