"""Features of words: an embedding, a pretrained vector, and what the spelling says."""

import torch
from torch import Tensor, nn

from recurra.data.text.word_encoding import Tokens
from recurra.models.character_encoder import CharacterEncoder
from recurra.shapes import check_positive, check_shape

__all__ = ["TokenEmbedding"]


class TokenEmbedding(nn.Module):
    """A word is its embedding, its pretrained vector where there are such, and what `characters` makes of its spelling.

    Args:
        num_words: V, rows of the word embedding, the unknown word first.
        word_size: features of a word.
        characters: from spellings to features; None to read none.
        vector_size: P, features of pretrained vectors, which are read and not trained; 0 for none.
        unknown: (V,), the probability that a word is read as the unknown one while training; None for never.

    Attributes:
        size: features of all of it.

    Raises:
        ParameterError: for a size out of its range.
        ShapeError: if a shape does not fit.
    """

    unknown: Tensor

    def __init__(
        self,
        num_words: int,
        word_size: int,
        characters: CharacterEncoder | None = None,
        vector_size: int = 0,
        unknown: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_positive("num_words", num_words)
        check_positive("word_size", word_size)
        check_positive("vector_size", vector_size, at_least=0)
        if unknown is None:
            unknown = torch.zeros(num_words)
        check_shape("unknown", unknown, (num_words,), "(V,)")
        self.words = nn.Embedding(num_words, word_size)
        nn.init.uniform_(self.words.weight, -((3 / word_size) ** 0.5), (3 / word_size) ** 0.5)
        self.characters = characters
        self.vector_size = vector_size
        self.size = word_size + (characters.size if characters else 0) + vector_size
        self.register_buffer("unknown", unknown, persistent=False)

    def forward(self, tokens: Tokens) -> Tensor:
        """Features (B, T, `size`).

        Raises:
            ShapeError: if pretrained vectors do not fit.
        """
        words = tokens.words
        if self.training:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.unknown[words], 0)
        parts = [self.words(words)]
        if self.vector_size:
            vectors = words.new_empty(0) if tokens.vectors is None else tokens.vectors
            check_shape("vectors", vectors, (*words.shape, self.vector_size), "(B, T, P)")
            parts.append(vectors)
        if self.characters is not None:
            spelled = self.characters(tokens.characters, tokens.character_lengths)
            parts.append(nn.functional.embedding(tokens.spellings, spelled))
        return torch.cat(parts, dim=2)
