"""Time-series data: frequencies, readers and samples. Import its modules directly; this one is empty."""
