"""Tags of words: words and their characters embedded, read in both directions or forward, scored together."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.batches.ignored import IGNORED
from recurra.data.text.word_encoding import Tokens
from recurra.layers import Architecture, VariationalDropout, trunk
from recurra.models.character_encoder import CharacterEncoder
from recurra.models.crf import LinearChain, LinearChainCRF
from recurra.models.token_embedding import TokenEmbedding
from recurra.shapes import check_lengths, check_positive, check_probability, check_shape

__all__ = ["IndependentTags", "SequenceTagger"]


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

    def tempered(self, temperature: float) -> "IndependentTags":
        """The distribution proportional to p(y)^(1 / temperature): flatter above 1, the same best tags."""
        return IndependentTags(self.emissions / temperature, self.lengths)

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
        cell: the equations of recurrent layers, or the architecture of a stack.
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
        bidirectional: whether sentences are also read backward. Without it, tags can be told as words come.

    Raises:
        ParameterError: for a parameter out of its range.
        ShapeError: if a shape does not fit.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
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
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        self.embedding = TokenEmbedding(num_words, word_size, characters, vector_size, unknown)
        self.dropout = VariationalDropout(dropout, batch_first=True)
        self.recurrent = trunk(
            cell,
            self.embedding.size,
            hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            variational=True,
        )
        self.crf = tags if isinstance(tags, LinearChainCRF) else None
        num_tags = len(tags.starts) if isinstance(tags, LinearChainCRF) else tags
        check_positive("num_tags", num_tags)
        self.emissions = nn.Linear(self.recurrent.output_size, num_tags)

    def forward(self, tokens: Tokens) -> tuple[LinearChain | IndependentTags, None]:
        """The distribution over the tags of each sentence; and no state, as sentences are read whole.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        lengths = check_lengths(tokens.lengths, *tokens.words.shape)
        output, _ = self.recurrent(self.dropout(self.embedding(tokens)), lengths=lengths)
        emissions = self.emissions(self.dropout(output))
        if self.crf is not None:
            return self.crf(emissions, lengths), None
        return IndependentTags(emissions, lengths), None
