"""Labelled examples: texts and series with their labels."""
