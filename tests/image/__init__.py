"""The image, by an engine: `make image`. Needs docker or podman; it is no part of `make test`."""
