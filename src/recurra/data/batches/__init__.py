"""Batches of sequences of similar length, and of streams in parallel lanes."""
