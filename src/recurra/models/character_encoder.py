"""What a word's spelling says: its characters, read by a recurrent network or a convolution."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.layers import Recurrent
from recurra.shapes import check_lengths, check_positive

__all__ = ["CharacterEncoder"]


class CharacterEncoder(nn.Module):
    """Features of words from their characters.

    "recurrent" is the final states of both directions of a recurrent layer (Ling et al. 2015, Lample et al. 2016);
    "convolution" is the largest value of each filter over all positions of the word (Ma and Hovy 2016).

    Args:
        kind: "recurrent" or "convolution".
        num_characters: rows of the embedding of characters.
        embedding_size: features of a character.
        hidden_size: H, units of each direction, or half of the filters.
        cell: the equations, of "recurrent".
        width: characters a filter sees, an odd number, of "convolution".

    Attributes:
        size: features of a word, 2 * H.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        kind: Literal["recurrent", "convolution"],
        num_characters: int,
        embedding_size: int,
        hidden_size: int,
        cell: Cell,
        width: int = 3,
    ) -> None:
        super().__init__()
        if kind not in ("recurrent", "convolution"):
            raise ParameterError("kind", "'recurrent' or 'convolution'", kind)
        for name, value in (
            ("num_characters", num_characters),
            ("embedding_size", embedding_size),
            ("hidden_size", hidden_size),
            ("width", width),
        ):
            check_positive(name, value)
        if width % 2 == 0:
            raise ParameterError("width", "an odd number", width)
        self.size = 2 * hidden_size
        self.embedding = nn.Embedding(num_characters, embedding_size)
        self.recurrent: Recurrent | None = None
        self.convolution: nn.Conv1d | None = None
        if kind == "recurrent":
            self.recurrent = Recurrent(cell, embedding_size, hidden_size, batch_first=True, bidirectional=True)
        else:
            self.convolution = nn.Conv1d(embedding_size, self.size, width, padding=width // 2)

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Features (U, 2 * H) of words.

        Args:
            characters: (U, C) int64.
            lengths: true lengths (U,), 0 to C; a word of length 0 has zeros.

        Raises:
            ShapeError: if a length does not fit.
        """
        lengths = check_lengths(lengths, *characters.shape)
        embedded = self.embedding(characters)
        if self.recurrent is not None:
            _, state = self.recurrent(embedded, lengths=lengths)
            last = state[0] if isinstance(state, tuple) else state
            return last.transpose(0, 1).flatten(1)
        assert self.convolution is not None
        beyond = torch.arange(characters.shape[1]) >= lengths.unsqueeze(1)
        beyond = beyond.unsqueeze(2).to(embedded.device)
        features = self.convolution(embedded.masked_fill(beyond, 0).transpose(1, 2)).transpose(1, 2)
        largest = features.masked_fill(beyond, -math.inf).amax(1)
        return largest.masked_fill((lengths == 0).unsqueeze(1).to(largest.device), 0)
