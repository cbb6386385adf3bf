"""Which partitions are ours: what is known of them when they come, how far they can be read, and what of them is committed."""
