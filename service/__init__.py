"""What every process of the service shares. It imports neither supervision nor worker."""

__version__ = "0.1.0"
