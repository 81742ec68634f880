"""Networks that forecast series, what they read, and what their outputs mean."""
