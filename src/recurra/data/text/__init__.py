"""Text: readers, vocabularies, tokenizations, subwords, word vectors and tag schemes."""
