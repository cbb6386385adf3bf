"""What processes of the service say to each other, and what operators ask them. Knows no Kafka."""
