"""Tags of words: words and their characters embedded, read in both directions, scored together."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.ignored import IGNORED
from recurra.layers import Recurrent, VariationalDropout
from recurra.models.character_encoder import CharacterEncoder
from recurra.models.crf import LinearChain, LinearChainCRF
from recurra.shapes import check_lengths, check_positive, check_probability, check_shape

__all__ = ["IndependentTags", "SequenceTagger", "Tokens"]


@dataclass(frozen=True)
class Tokens:
    """The words of a batch of sentences.

    Characters are given once for each of the batch's U different words.

    Attributes:
        words: (B, T) int64, rows of the word embedding; 0 is the unknown word.
        lengths: true lengths (B,), int64 on the CPU.
        characters: (U, C) int64.
        character_lengths: (U,), int64 on the CPU.
        spellings: (B, T) int64, the row of each word in `characters`.
        vectors: (B, T, P), pretrained vectors of the words, zeros for a word without one; None where there are none.
    """

    words: Tensor
    lengths: Tensor
    characters: Tensor
    character_lengths: Tensor
    spellings: Tensor
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> "Tokens":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return replace(
            self,
            words=self.words.to(device),
            characters=self.characters.to(device),
            spellings=self.spellings.to(device),
            vectors=None if self.vectors is None else self.vectors.to(device),
        )


@dataclass(frozen=True)
class IndependentTags:
    """The distribution over tags where each step is by itself, a softmax; to be used as `LinearChain`.

    Args:
        emissions: (B, T, K).
        lengths: true lengths (B,), int64 on the CPU.
    """

    emissions: Tensor
    lengths: Tensor

    def log_likelihood(self, tags: Tensor) -> Tensor:
        """log p of the tags (B, T) of each sentence (B,); those of -100 do not count."""
        check_shape("tags", tags, self.emissions.shape[:2], "(B, T)")
        counted = self._valid() & (tags != IGNORED)
        logs = self.emissions.double().log_softmax(2).gather(2, tags.masked_fill(~counted, 0).unsqueeze(2))
        return logs.squeeze(2).masked_fill(~counted, 0).sum(1)

    def marginals(self) -> Tensor:
        """p(y_t = k) for each step and tag (B, T, K); zero beyond the lengths."""
        return self.emissions.softmax(2).masked_fill(~self._valid().unsqueeze(2), 0)

    def best(self) -> Tensor:
        """The most probable tags (B, T) int64; -100 beyond the lengths."""
        return self.emissions.argmax(2).masked_fill(~self._valid(), IGNORED)

    def _valid(self) -> Tensor:
        steps = torch.arange(self.emissions.shape[1], device=self.emissions.device)
        return steps < self.lengths.to(steps.device).unsqueeze(1)


class SequenceTagger(nn.Module):
    """A tagger of words (Lample et al. 2016; with a convolution over characters, Ma and Hovy 2016).

    A word is its embedding, its pretrained vector where there are such, and what `characters` makes of its spelling. A
    bidirectional recurrent network reads the words; a linear layer scores the tags; a CRF or a softmax makes them a
    distribution. One dropout, with the same mask at every step of a sentence (Gal and Ghahramani 2016), is on what the
    recurrent layers read, between them, and on what they put out.

    Args:
        cell: the equations.
        num_words: V, rows of the word embedding, the unknown word first.
        word_size: features of a word.
        hidden_size: H, of each direction.
        tags: the CRF, or the number of tags for a softmax.
        num_layers: L.
        characters: from spellings to features; None to read none.
        vector_size: P, features of pretrained vectors, which are read and not trained; 0 for none.
        unknown: (V,), the probability that a word is read as the unknown one while training; None for never.
        dropout: probability.
        recurrent_dropout: probability, on what the recurrent weights read.

    Raises:
        ParameterError: for a parameter out of its range.
        ShapeError: where a shape does not fit.
    """

    unknown: Tensor

    def __init__(
        self,
        cell: Cell,
        num_words: int,
        word_size: int,
        hidden_size: int,
        tags: LinearChainCRF | int,
        num_layers: int = 1,
        characters: CharacterEncoder | None = None,
        vector_size: int = 0,
        unknown: Tensor | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("num_words", num_words)
        check_positive("word_size", word_size)
        check_positive("vector_size", vector_size, at_least=0)
        check_probability("dropout", dropout)
        if unknown is None:
            unknown = torch.zeros(num_words)
        check_shape("unknown", unknown, (num_words,), "(V,)")
        self.words = nn.Embedding(num_words, word_size)
        nn.init.uniform_(self.words.weight, -((3 / word_size) ** 0.5), (3 / word_size) ** 0.5)
        self.characters = characters
        self.vector_size = vector_size
        self.register_buffer("unknown", unknown, persistent=False)
        self.dropout = VariationalDropout(dropout, batch_first=True)
        self.recurrent = Recurrent(
            cell,
            word_size + (characters.size if characters else 0) + vector_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=True,
            recurrent_dropout=recurrent_dropout,
            variational=True,
        )
        self.crf = tags if isinstance(tags, LinearChainCRF) else None
        num_tags = len(tags.starts) if isinstance(tags, LinearChainCRF) else tags
        check_positive("num_tags", num_tags)
        self.emissions = nn.Linear(2 * self.recurrent.hidden_size, num_tags)

    def forward(self, tokens: Tokens) -> tuple[LinearChain | IndependentTags, None]:
        """The distribution over the tags of each sentence; and no state, as sentences are read whole.

        Raises:
            ShapeError: where a shape or length does not fit.
        """
        lengths = check_lengths(tokens.lengths, *tokens.words.shape)
        output, _ = self.recurrent(self.dropout(self._embed(tokens)), lengths=lengths)
        emissions = self.emissions(self.dropout(output))
        if self.crf is not None:
            return self.crf(emissions, lengths), None
        return IndependentTags(emissions, lengths), None

    def _embed(self, tokens: Tokens) -> Tensor:
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
