"""Why a partition stands still, and what is told of it."""
