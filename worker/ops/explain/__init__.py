"""Why a partition's commit stands still, and what lets go of it."""
