"""The page in a real browser: `make page`. Needs Chromium and node; it is no part of `make test`."""
