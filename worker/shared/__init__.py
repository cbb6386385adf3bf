"""What every process of the service shares. It imports no other room."""
