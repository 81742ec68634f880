"""Time series on regular grids: readers, frequencies, time stamps and covariates."""
