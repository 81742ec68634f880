"""Labelled examples: readers of texts and series with their labels."""
