"""The words behind commands: what they mean, and what is wrong with them. Pure."""
