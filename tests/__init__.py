"""What is promised, and whether it is so."""

import os
import sys

# Tests start a thousand processes. Where nothing compiled may be kept, each compiles all of the service: 0.25 s of a core.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
