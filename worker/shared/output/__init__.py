"""What a process writes: lines of its log, to the streams that it was given, and its last words."""
