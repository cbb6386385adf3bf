"""What goes to Kafka, and is stored before its task counts as done: records, and with them in one transaction the commit."""
