"""Closed days as Parquet files with a manifest each, and the proof that they are what they say."""
