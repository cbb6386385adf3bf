"""What others wrote, made plain: what handlers raise and return, text and bytes of strangers."""
