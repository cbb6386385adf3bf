"""How far the whole group is, asked of Kafka itself."""
