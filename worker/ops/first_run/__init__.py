"""`make run`: the service on a broker of its own, with a crash on the way, and an account at the end."""
