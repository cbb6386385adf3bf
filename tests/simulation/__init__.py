"""A deterministic simulation of one child: see `docs/DESIGN.md`, "The simulation"."""
