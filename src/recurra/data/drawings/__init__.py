"""Drawings: readers of files, strokes as offsets, simplification."""
