"""The properties of our Kafka clients that a user may set, and what a secured cluster asks for."""
