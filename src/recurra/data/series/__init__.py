"""Time series: reading, frequencies, time stamps and covariates."""
