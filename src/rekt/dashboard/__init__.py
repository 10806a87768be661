"""The ledger to look at: a page, an HTTP API, a live stream; in a process of its own, reading only."""
