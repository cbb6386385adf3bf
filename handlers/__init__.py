"""The user's side: functions that do the work of a message. They import nothing of the service."""
