"""Sockets, tapes and REST: bytes with a receive time, and nothing that knows a venue."""
