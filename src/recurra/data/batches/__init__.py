"""Batches: buckets by length, and lanes of a stream."""
