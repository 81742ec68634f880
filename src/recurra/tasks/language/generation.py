"""Text scored and generated token by token."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from recurra.tasks.language.fitted import FittedModel
from recurra.tasks.language.reader import Reader
from recurra.tasks.language.sampling import Sampling
from recurra.tasks.language.surprise import ScoredToken

__all__ = ["generate_tokens", "score_tokens"]


def score_tokens(model: FittedModel, reader: Reader, codes: Tensor) -> list[ScoredToken]:
    """Read the tokens of a text (N,) that begins a line; the surprise of each, given all before it."""
    numbers, surprise = codes.tolist(), reader.score(codes).tolist()
    return [ScoredToken(*found) for found in zip(numbers, model.tokens.pieces(numbers), surprise, strict=True)]


def generate_tokens(
    model: FittedModel,
    reader: Reader,
    previous: int | None,
    length: int,
    sampling: Sampling,
    generator: np.random.Generator,
) -> Iterator[ScoredToken]:
    """What follows a text, each token as it is drawn; one step of the network for each.

    Args:
        model: that the reader is of.
        reader: has read the text.
        previous: the last token of it; the line end where None.
        length: tokens to generate.
        sampling: how they are drawn.
        generator: to draw with.
    """
    unknown = model.tokens.unknown
    spell = model.tokens.speller(previous)
    for number in range(length):
        expected = reader.log_probabilities()
        allowed = expected.copy()
        if unknown is not None:
            allowed[unknown] = -np.inf
        code = sampling.draw(allowed, generator)
        yield ScoredToken(code, spell(code), -float(expected[code]))
        if number + 1 < length:
            reader.read(code)
