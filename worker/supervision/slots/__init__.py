"""The numbered places that are kept filled: which are looked at, and when each gets a fresh process."""
