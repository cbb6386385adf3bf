"""The user's side: functions that do the work of a message. They need nothing of the service."""
