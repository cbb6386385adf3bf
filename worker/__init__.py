"""One consumer process. Reading order: process (from spawn to exit code), consumer (the loop around the Consumer),
assignment and tracker (what is owed), lanes and pool (who runs what, when), retry and dead_letter (what fails), commits."""

__version__ = "0.1.0"
