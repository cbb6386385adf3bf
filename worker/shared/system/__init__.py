"""A process and its machine: signals, streams, files, clocks, limits."""
