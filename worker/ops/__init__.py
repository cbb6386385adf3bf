"""Clients of a running service and of its topics: what operators run beside it, in processes of their own."""
