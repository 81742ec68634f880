"""Clips of people and things in motion: points of a body by frame, from the files that hold them, and their labels."""
