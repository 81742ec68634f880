"""Recordings: files, lists of utterances, features, augmentation and batches. Needs the extra `audio`."""
