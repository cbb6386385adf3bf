"""What kubectl makes of the manifests: `make deploy`. Needs kubectl; it is no part of `make test`."""
