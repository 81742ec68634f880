"""Files of text and delimited tables."""
