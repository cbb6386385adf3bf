"""The parts of the parent process. Its story is in `supervisor`."""
