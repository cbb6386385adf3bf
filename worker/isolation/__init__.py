"""Handlers in task processes: ISOLATION=process, and the processes in which suspects run."""
