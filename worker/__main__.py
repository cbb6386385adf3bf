"""`python -m kafka_worker`, in a fresh interpreter for each child: no client, lock or thread of the supervisor is inherited.
With `--check` it is the throw-away process that looks at handler and client properties before anything starts."""

from __future__ import annotations

import sys

if "--check" in sys.argv[1:]:
    from kafka_worker.check import main
else:
    from kafka_worker.process import main

main()
