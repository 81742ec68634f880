"""A small language to translate: number words."""

from typing import Any

import numpy as np

from recurra.tasks.translate import Translator

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five"}
TINY: dict[str, Any] = {
    "vocabulary_size": 300,
    "hidden_size": 16,
    "embedding_size": 8,
    "batch_tokens": 300,
    "max_length": 30,
    "max_steps": 8,
    "validate_every": 4,
    "device": "cpu",
}


def make_pairs(count: int = 60, shortest: int = 1, longest: int = 5, seed: int = 0) -> tuple[list[str], list[str]]:
    """Source and target sentences."""
    generator = np.random.default_rng(seed)
    words = list(WORDS)
    lengths = generator.integers(shortest, longest + 1, count)
    source = [[words[i] for i in generator.integers(0, 5, length)] for length in lengths]
    return [" ".join(line) for line in source], [" ".join(WORDS[word] for word in line) for line in source]


def fitted(**changes: Any) -> Translator:
    """A translator after a few steps."""
    return Translator(**TINY | changes).fit(make_pairs(), progress=False)
