"""The Kafka client, the only room that knows it: consumer, producer, their properties and errors, and back-pressure."""
