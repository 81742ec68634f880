"""Text: reading, tokens, vocabularies, subwords and tags."""
