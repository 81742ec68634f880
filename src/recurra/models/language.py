"""Many-to-many over symbols: at each step of a sequence a distribution over what comes next."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, embedding, linear, log_softmax

from recurra.cells import Cell
from recurra.data.batches.ignored import is_ignored
from recurra.errors import ParameterError
from recurra.layers import Architecture, VariationalDropout, trunk
from recurra.shapes import check_positive, check_probability

__all__ = ["RecurrentLanguageModel"]


class RecurrentLanguageModel(nn.Module):
    """Embedding, recurrent layers, and a softmax over the vocabulary (Mikolov et al. 2010).

    `forward` gives the features that the softmax reads; `loss` and `log_probabilities` read them. So an adaptive
    softmax, which computes the whole vocabulary only where it is asked to, is used like a full one.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        vocabulary_size: V, symbols.
        embedding_size: E, features of a symbol.
        hidden_size: H.
        num_layers: L.
        dropout: probability, on the output of every recurrent layer, the last included, while training.
        input_dropout: on the embeddings.
        embedding_dropout: of whole symbols, wherever they occur in a call (Gal and Ghahramani 2016).
        recurrent_dropout: see `Recurrent`.
        weight_dropout: see `Recurrent`.
        variational: whether the masks of `dropout` and `input_dropout` are the same at every step of a sequence.
        tied: whether the softmax has the embeddings as its weights (Press and Wolf 2017, Inan et al. 2017); where H is
            not E, a linear map without bias comes before it.
        cutoffs: of the adaptive softmax (Grave et al. 2017), increasing, less than V: symbols below the first are in
            the head, those from one to the next in a tail, each tail with a fourth of the features of the one before.
            The symbols must be numbered by falling frequency. Empty for a full softmax.

    Raises:
        ParameterError: for a parameter out of its range, and for `tied` with `cutoffs`.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        variational: bool = False,
        tied: bool = False,
        cutoffs: Sequence[int] = (),
    ) -> None:
        super().__init__()
        #: How each parameter was initialised, for the record of a training.
        self.initialization: dict[str, str] = {}
        check_positive("vocabulary_size", vocabulary_size, at_least=2)
        check_positive("embedding_size", embedding_size)
        check_probability("embedding_dropout", embedding_dropout)
        self._check_cutoffs(cutoffs, vocabulary_size, hidden_size, tied)
        self.vocabulary_size = vocabulary_size
        self.embedding_dropout = float(embedding_dropout)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.recurrent = trunk(
            cell,
            embedding_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            variational=variational,
        )
        self.input_dropout = _dropout(input_dropout, variational)
        self.output_dropout = _dropout(dropout, variational)
        features = self.recurrent.output_size
        self.projection = None
        if tied and features != embedding_size:
            self.projection = nn.Linear(features, embedding_size, bias=False)
            features = embedding_size
        self.output_size = features
        self.adaptive = None
        self.weight = self.bias = None
        if cutoffs:
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(features, vocabulary_size, list(cutoffs))
        else:
            self.weight = self.embedding.weight if tied else nn.Parameter(torch.empty(vocabulary_size, features))
            self.bias = nn.Parameter(torch.empty(vocabulary_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise embeddings and softmax: normal with variance 1 / features and bias 0; torch's for an adaptive one.

        The recurrent layers are left as they are.
        """
        nn.init.normal_(self.embedding.weight, std=self.embedding.embedding_dim**-0.5)
        if self.weight is not None and self.weight is not self.embedding.weight:
            nn.init.normal_(self.weight, std=self.output_size**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, symbols: Tensor, state: Any = None, resets: Tensor | None = None) -> tuple[Tensor, Any]:
        """Read symbols.

        Args:
            symbols: (B, T) of int64, 0 to V - 1.
            state: the state after the step before, as this returned it; None for none.
            resets: bool (B, T), before which steps the state starts anew.

        Returns:
            The features (B, T, F) that the softmax reads, and the state after the last step.
        """
        output, state = self.recurrent(self.input_dropout(self._embed(symbols)), state, resets=resets)
        output = self.output_dropout(output)
        return output if self.projection is None else self.projection(output), state

    def log_probabilities(self, features: Tensor) -> Tensor:
        """The log probability of every symbol (..., V), in nats, from features (..., F)."""
        if self.adaptive is not None:
            flat = self.adaptive.log_prob(features.reshape(-1, self.output_size))
            return flat.reshape(*features.shape[:-1], self.vocabulary_size)
        return log_softmax(self._logits(features), dim=-1)

    def surprise(self, features: Tensor, target: Tensor) -> Tensor:
        """The surprise, -log p in nats, of each target (N,) after features (N, F): (N,)."""
        if self.adaptive is not None:
            return -self.adaptive(features, target).output
        return cross_entropy(self._logits(features), target, reduction="none")

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """The mean surprise of targets (B, T) after features (B, T, F), 0-dim; targets of -100 do not count."""
        counted = ~is_ignored(target)
        if not counted.all():
            features, target = features[counted], target[counted]
        surprise = self.surprise(features.reshape(-1, self.output_size), target.reshape(-1))
        return surprise.float().sum() / max(surprise.numel(), 1)

    def _logits(self, features: Tensor) -> Tensor:
        assert self.weight is not None
        return linear(features, self.weight, self.bias)

    def _embed(self, symbols: Tensor) -> Tensor:
        if not (self.training and self.embedding_dropout):
            return self.embedding(symbols)
        mask = dropout(self.embedding.weight.new_ones(self.vocabulary_size, 1), self.embedding_dropout)
        return embedding(symbols, self.embedding.weight * mask)

    @staticmethod
    def _check_cutoffs(cutoffs: Sequence[int], vocabulary_size: int, hidden_size: int, tied: bool) -> None:
        if not cutoffs:
            return
        if tied:
            raise ParameterError("tied", "False with cutoffs: an adaptive softmax has weights of its own", tied)
        for cutoff in cutoffs:
            check_positive("cutoffs", cutoff)
        if list(cutoffs) != sorted(set(cutoffs)) or cutoffs[-1] >= vocabulary_size:
            expected = f"increasing numbers, less than the {vocabulary_size} symbols of the vocabulary"
            raise ParameterError("cutoffs", expected, tuple(cutoffs))
        if hidden_size < 4 ** len(cutoffs):
            expected = f"fewer, as each tail has a fourth of the features of the one before, from {hidden_size} on"
            raise ParameterError("cutoffs", expected, tuple(cutoffs))


def _dropout(p: float, variational: bool) -> nn.Module:
    return VariationalDropout(p, batch_first=True) if variational else nn.Dropout(p)
