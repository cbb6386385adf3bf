"""Pure: the partitions this process owns, their tasks, their order, and the watermark that is committed."""
