"""How a process, or a partition, ends in order."""
