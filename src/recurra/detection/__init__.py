"""Scores, thresholds, events and metrics of anomaly detection, with NumPy alone."""
