"""The network: an encoder, a bridge, a decoder with attention, a softmax."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells import Cell
from recurra.data.text.subwords import Subwords
from recurra.errors import ParameterError
from recurra.layers import Architecture, Recurrent, trunk
from recurra.layers.stack import check_hands_over
from recurra.models import (
    AdditiveAttention,
    Attention,
    AttentionDecoder,
    Bridge,
    DecoderState,
    DotAttention,
    GeneralAttention,
    Memory,
    SearchState,
    coverage_loss,
)
from recurra.tasks.translate.pairs import Pairs

__all__ = ["Output", "PairLoss", "TranslationNetwork"]


class Output(NamedTuple):
    """What the network makes of a batch.

    Attributes:
        logits: of the subword after each true input, (N, V).
        repeated: how much was attended to again (See et al. 2017), 0-dim.
        weights: of the attention (B, T, S).
    """

    logits: Tensor
    repeated: Tensor
    weights: Tensor


class TranslationNetwork(nn.Module):
    """Reads source subwords and predicts those of the target (Luong et al. 2015).

    Args:
        source_size: subwords of the source vocabulary.
        target_size: V, subwords of the target vocabulary.
        cell: of encoder and decoder; or an architecture, of which both are stacks: the encoder then reads forward only,
            and the bridge is "copy", which hands over the state of every block, or "zeros".
        num_layers: see `Translator`, and so the others.

    Raises:
        ParameterError: for a parameter out of its range.

    Attributes:
        scale: by which embeddings are multiplied where they are read.
        never_written: ids that are not subwords, the end excepted.
    """

    never_written = (Subwords.padding, Subwords.unknown, Subwords.begin)

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        cell: Cell | Architecture,
        num_layers: int = 1,
        hidden_size: int = 512,
        embedding_size: int = 256,
        attention: str = "additive",
        coverage: bool = False,
        input_feeding: bool = True,
        bridge: str = "dense",
        tied_embeddings: str = "all",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.target_embedding = _embedding(target_size, embedding_size)
        tied = tied_embeddings
        self.source_embedding = self.target_embedding if tied == "all" else _embedding(source_size, embedding_size)
        is_cell = isinstance(cell, Cell)
        self.encoder = trunk(
            cell,
            embedding_size,
            hidden_size // 2 if is_cell else hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=is_cell,
        )
        self.decoder = AttentionDecoder(
            cell,
            embedding_size,
            hidden_size,
            _attention(attention, hidden_size, coverage),
            num_layers,
            attentional_size=embedding_size if tied != "none" else hidden_size,
            input_feeding=input_feeding,
            dropout=dropout,
        )
        self.bridge, self._hands_over = None, bridge == "copy"
        recurrent = self.decoder.recurrent
        if isinstance(self.encoder, Recurrent) and isinstance(recurrent, Recurrent):
            self.bridge = Bridge(self.encoder, recurrent, bridge)
        elif bridge == "dense":
            raise ParameterError("bridge", "'copy' or 'zeros' with an architecture", bridge)
        elif self._hands_over:
            check_hands_over(self.encoder, recurrent)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(self.decoder.attentional_size, target_size)
        if tied != "none":
            self.readout.weight = self.target_embedding.weight
        # Embeddings of a variance of 1 / E serve as softmax weights, those of a variance of 1 as inputs (Vaswani et
        # al. 2017, section 3.4).
        self.scale = math.sqrt(embedding_size)

    def forward(self, pairs: Pairs) -> tuple[Output, Any]:
        """Read the source, predict each subword of the target from those before.

        Args:
            pairs: a batch.

        Returns:
            The output, and the decoder's final state.
        """
        memory, state = self.encode(pairs.source, pairs.source_lengths)
        decoded, state = self.decoder(self._embed(self.target_embedding, pairs.inputs), memory, state)
        counted = pairs.counted()
        # Only true steps: the softmax over the vocabulary is most of the work.
        logits = self.readout(decoded.hidden[counted])
        return Output(logits, coverage_loss(decoded.weights, counted), decoded.weights), state

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, DecoderState]:
        """What the decoder attends to and begins with, of source subwords (B, S)."""
        output, final = self.encoder(self._embed(self.source_embedding, source), lengths=lengths)
        first = final if self._hands_over else None
        if self.bridge is not None:
            first = self.bridge(final)
        return self.decoder.attention.prepare(self.dropout(output), lengths), DecoderState(first)

    def begin(self, source: Tensor, lengths: Tensor) -> SearchState:
        """The state of a search before its first step, of source subwords (B, S)."""
        memory, decoder = self.encode(source, lengths)
        return SearchState(memory, torch.arange(len(source), device=source.device), decoder)

    def step(self, tokens: Tensor, state: SearchState) -> tuple[Tensor, SearchState]:
        """The log-probabilities (N, V) of what follows tokens (N,)."""
        inputs = self._embed(self.target_embedding, tokens.unsqueeze(1))
        decoded, decoder = self.decoder(inputs, state.memory, state.decoder)
        log_probs = self.readout(decoded.hidden.squeeze(1)).log_softmax(1)
        # Nothing but subwords and the end is ever written. Not in place: gradients may be asked for.
        never = torch.tensor(self.never_written, device=log_probs.device)
        log_probs = log_probs.index_fill(1, never, -math.inf)
        return log_probs, SearchState(state.memory, state.sentences, decoder)

    def _embed(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        return self.dropout(embedding(tokens) * self.scale)


@dataclass(frozen=True)
class PairLoss:
    """The mean cross-entropy with targets (N,), smoothed (Szegedy et al. 2016), and a penalty of repeated attention.

    Attributes:
        label_smoothing: the fraction of each target's probability that is spread over the vocabulary.
        coverage_penalty: the weight of repeated attention.
    """

    label_smoothing: float
    coverage_penalty: float

    def __call__(self, output: Output, target: Tensor) -> Tensor:
        loss = F.cross_entropy(output.logits, target, label_smoothing=self.label_smoothing)
        return loss + self.coverage_penalty * output.repeated if self.coverage_penalty else loss


def _embedding(size: int, features: int) -> nn.Embedding:
    embedding = nn.Embedding(size, features)
    nn.init.normal_(embedding.weight, std=features**-0.5)
    return embedding


def _attention(kind: str, size: int, coverage: bool) -> Attention:
    if kind == "additive":
        return AdditiveAttention(size, size, coverage=coverage)
    if kind == "dot":
        return DotAttention(size, coverage=coverage)
    return GeneralAttention(size, size, coverage=coverage)
