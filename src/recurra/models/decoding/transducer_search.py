"""Search with a recurrent transducer, for whole utterances and for streams beside each other."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models.decoding.timed import TimedHypothesis, Tokens
from recurra.models.decoding.transducer_beam import TransducerBeam
from recurra.models.decoding.transducer_greedy import TransducerGreedy
from recurra.shapes import check_lengths, check_positive

__all__ = ["Transducer", "TransducerSearch", "TransducerStream"]


class Transducer(Protocol):
    """The parts of a recurrent transducer behind its encoder."""

    def predict(self, labels: Tensor, state: Any) -> tuple[Tensor, Any]:
        """A step of the prediction network.

        Args:
            labels: the last labels (N,) int64; the blank before the first label.
            state: that after the labels before; None before the first label.

        Returns:
            The output (N, K), and the state after, of a type that `select_rows` and `concatenate_rows` take.
        """
        ...

    def join(self, frames: Tensor, outputs: Tensor) -> Tensor:
        """The log-probabilities (N, V) of frames (N, J) after what the prediction network put out (N, K)."""
        ...


class TransducerSearch:
    """The best texts by a time-synchronous search.

    Greedy (`beam_size=1`): at each frame the most probable symbol is emitted until that is the blank. Otherwise beam
    search (time-synchronous decoding of Saon et al. 2020): at each frame every hypothesis of the beam is continued by 0
    to `max_symbols` labels and a blank; those with the same labels are one, of which the probability is their sum.

    Args:
        model: prediction network and joiner.
        tokens: the name of each symbol V. `▁` before a name begins a word.
        blank: the symbol that is the blank.
        separator: the name of the token between words, if it is among the tokens.
        beam_size: hypotheses that stay after each frame; 1 for greedy search.
        beam_threshold: how far a hypothesis may score below the best, in nats.
        max_symbols: labels of one frame at most; then comes the blank.
        batch_dim: of the state's tensors, the dimension that holds the rows: 0, or 1 for a recurrent state (L, B, H).

    Raises:
        ParameterError: for a number out of its range.
    """

    def __init__(
        self,
        model: Transducer,
        tokens: Sequence[str],
        *,
        blank: int = 0,
        separator: str | None = " ",
        beam_size: int = 1,
        beam_threshold: float = 10.0,
        max_symbols: int = 5,
        batch_dim: int = 0,
    ) -> None:
        check_positive("beam_size", beam_size)
        check_positive("max_symbols", max_symbols)
        if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < len(tokens):
            raise ParameterError("blank", f"a symbol from 0 to V - 1 = {len(tokens) - 1}", blank)
        if isinstance(beam_threshold, bool) or not beam_threshold > 0:
            raise ParameterError("beam_threshold", "a number above 0", beam_threshold)
        self.tokens = Tokens.spell(tokens, blank, separator)
        self._model, self._blank, self._batch_dim = model, blank, batch_dim
        self._beam_size, self._beam_threshold, self._max_symbols = beam_size, beam_threshold, max_symbols

    def __call__(
        self, frames: Tensor, lengths: Tensor | Sequence[int] | None = None, n_best: int = 1
    ) -> list[list[TimedHypothesis]]:
        """The best texts of each of some whole utterances, best first.

        Args:
            frames: of the encoder (B, T, J).
            lengths: true lengths (B,); None: T for all.
            n_best: hypotheses returned at most.
        """
        stream = self.stream(len(frames))
        stream.advance(frames, lengths)
        return stream.best(n_best)

    def stream(self, rows: int = 1) -> "TransducerStream":
        """A search of some streams beside each other that is fed in chunks; any chunks give the same hypotheses.

        Args:
            rows: streams, B.
        """
        check_positive("rows", rows, at_least=0)
        options = (self._model, rows, self._blank, self._max_symbols, self._batch_dim)
        if self._beam_size == 1:
            return TransducerStream(TransducerGreedy(*options), self.tokens)
        return TransducerStream(TransducerBeam(*options, self._beam_size, self._beam_threshold), self.tokens)


class TransducerStream:
    """A search between chunks of frames, see `TransducerSearch.stream`."""

    def __init__(self, search: TransducerGreedy | TransducerBeam, tokens: Tokens) -> None:
        self._search, self._tokens = search, tokens

    @torch.no_grad()
    def advance(self, frames: Tensor, lengths: Tensor | Sequence[int] | None = None) -> None:
        """Read the next frames of each stream.

        Args:
            frames: (B, T, J).
            lengths: how many of them are the stream's (B,), 0 to T; None: all.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        rows = self._search.rows
        if frames.dim() != 3 or len(frames) != rows:
            raise ShapeError("frames", f"shape (B, T, J) with B = {rows}", tuple(frames.shape))
        steps = frames.shape[1]
        counts = torch.full((rows,), steps) if lengths is None else check_lengths(lengths, rows, steps)
        for t in range(steps):
            active = (counts > t).nonzero().squeeze(1).to(frames.device)
            if len(active):
                self._search.read(frames[:, t], active)

    def best(self, n_best: int = 1) -> list[list[TimedHypothesis]]:
        """The best texts of each stream so far, best first."""
        check_positive("n_best", n_best)
        return [
            [self._tokens.hypothesis(tokens, log_prob, log_prob) for tokens, log_prob in each]
            for each in self._search.best(n_best)
        ]
