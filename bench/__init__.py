"""What the data path costs, as a ratio: this service's engine against a plain `consume(500)` loop, on the same broker, in
the same run, in turns (absolute numbers of one machine drift by half within minutes; ratios hold)."""
