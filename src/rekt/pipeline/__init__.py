"""From frames to the ledger and on to the sinks."""
