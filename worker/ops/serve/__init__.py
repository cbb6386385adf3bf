"""The HTTP part: a process of its own, which watches the supervisor and tells others what it saw."""
