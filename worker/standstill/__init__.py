"""Why a partition stands still: what is told of it."""
