"""One program a peer, each in its best documented form, and all with the same task. They run in environments of their own, of
which this service is no part: of ours they import `bench.peers.task` only, which needs nothing but Python."""
