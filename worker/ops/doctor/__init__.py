"""The command `check`: what is wrong, or will be, and how it is mended."""
