"""Applications: one file or folder a task."""
