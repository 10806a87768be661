"""The one definition of every number."""
