"""Words among the inputs of what is exported."""

from collections.abc import Mapping

import torch
from torch import Tensor

from recurra.data.text.word_encoding import Tokens

__all__ = ["tokens_of"]


def tokens_of(inputs: Mapping[str, Tensor]) -> Tokens:
    """The batch that the inputs of a graph or a script stand for."""
    words = inputs["words"]
    none = words.new_zeros(0, 0)
    return Tokens(
        words,
        inputs.get("lengths", torch.full(words.shape[:1], words.shape[1])),
        inputs.get("characters", none),
        inputs.get("character_lengths", words.new_zeros(0)),
        inputs.get("spellings", words),
        inputs.get("vectors"),
        inputs.get("evidence"),
    )
