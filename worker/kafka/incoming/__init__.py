"""What comes from Kafka: where reading begins, how much of it is fetched, and how much is taken."""
