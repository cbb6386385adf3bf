"""What was done before this process, and which messages are suspected of having ended one."""
