"""Readers of text files and of delimited tables."""
