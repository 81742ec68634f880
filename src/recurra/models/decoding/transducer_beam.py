"""Beam search with a recurrent transducer."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from recurra.models.decoding.rows import concatenate_rows, select_rows
from recurra.models.decoding.timed import TimedToken

__all__ = ["TransducerBeam"]

Path = tuple[Any, TimedToken] | None  # the path before, and its last token


@dataclass(eq=False)
class _Prefix:
    """Labels: those of a prefix and one more. There is one of each, while anything refers to it."""

    before: "_Prefix | None"
    longer: "WeakValueDictionary[int, _Prefix]" = field(default_factory=WeakValueDictionary)

    def extended(self, label: int) -> "_Prefix":
        extended = self.longer.get(label)
        if extended is None:
            extended = self.longer[label] = _Prefix(self)
        return extended


@dataclass
class _Hypothesis:
    """A prefix with its log-probability, the times of its best path, and its row of the prediction network.

    `best` is the log-probability of that path alone.
    """

    stream: int
    prefix: _Prefix
    log_prob: float
    best: float
    path: Path
    row: int


class TransducerBeam:
    """Time-synchronous beam search (Saon et al. 2020); see `TransducerSearch`.

    Args:
        model: a `Transducer`.
        rows: streams, B.
        blank: the symbol that is the blank.
        max_symbols: labels of one frame at most.
        batch_dim: of the state's tensors, the dimension that holds the rows.
        beam_size: hypotheses that stay after each frame, of each stream.
        beam_threshold: how far one may score below the best.
    """

    def __init__(
        self,
        model: Any,
        rows: int,
        blank: int,
        max_symbols: int,
        batch_dim: int,
        beam_size: int,
        beam_threshold: float,
    ) -> None:
        self.rows = rows
        self._model, self._blank, self._max_symbols, self._batch_dim = model, blank, max_symbols, batch_dim
        self._beam_size, self._beam_threshold = beam_size, beam_threshold
        self._beams = [[_Hypothesis(row, _Prefix(None), 0.0, 0.0, None, row)] for row in range(rows)]
        self._frames = [0] * rows
        self._output: Tensor | None = None
        self._state: Any = None

    def read(self, frames: Tensor, active: Tensor) -> None:
        """Read one frame of each stream (B, J), of those that are active (rows of them)."""
        if self._output is None:
            begin = torch.full((self.rows,), self._blank, device=frames.device)
            self._output, self._state = self._model.predict(begin, None)
        streams = active.tolist()
        ended: dict[int, dict[_Prefix, _Hypothesis]] = {stream: {} for stream in streams}
        going = [one for stream in streams for one in self._beams[stream]]
        for emitted in range(self._max_symbols + 1):
            log_probs = self._join(frames, going)
            for one, by_blank in zip(going, log_probs[:, self._blank].tolist(), strict=True):
                _add(ended[one.stream], one.prefix, one.log_prob + by_blank, one.best + by_blank, one.path, one)
            if emitted == self._max_symbols:
                break
            going = self._extend(going, log_probs, ended)
            if not going:
                break
        for stream, each in ended.items():
            self._beams[stream] = self._best(each.values())
            self._frames[stream] += 1
        self._keep_rows()

    def best(self, n_best: int) -> list[list[tuple[list[TimedToken], float]]]:
        """Of each stream up to n hypotheses, best first: tokens and log-probability."""
        return [[(_tokens(one.path), one.log_prob) for one in beam[:n_best]] for beam in self._beams]

    def _join(self, frames: Tensor, hypotheses: list[_Hypothesis]) -> Tensor:
        assert self._output is not None
        streams = torch.tensor([one.stream for one in hypotheses], device=frames.device)
        rows = torch.tensor([one.row for one in hypotheses], device=frames.device)
        return self._model.join(frames[streams], self._output[rows])

    def _extend(
        self, going: list[_Hypothesis], log_probs: Tensor, ended: dict[int, dict[_Prefix, _Hypothesis]]
    ) -> list[_Hypothesis]:
        """The best hypotheses of each stream with one label more."""
        allowed = log_probs.clone()
        allowed[:, self._blank] = -math.inf
        values, labels = allowed.topk(min(self._beam_size, allowed.shape[1]), dim=1)
        longer: dict[int, dict[_Prefix, _Hypothesis]] = {one.stream: {} for one in going}
        label_of: dict[_Prefix, tuple[int, int]] = {}
        for one, scores, tokens in zip(going, values.tolist(), labels.tolist(), strict=True):
            best_ended = max(each.log_prob for each in ended[one.stream].values())
            at = self._frames[one.stream]
            for score, token in zip(scores, tokens, strict=True):
                if not one.log_prob + score > max(best_ended - self._beam_threshold, -math.inf):
                    continue
                prefix = one.prefix.extended(token)
                path = (one.path, TimedToken(token, at, at + 1, at, score))
                _add(longer[one.stream], prefix, one.log_prob + score, one.best + score, path, one)
                label_of[prefix] = (token, one.row)
        chosen = [one for each in longer.values() for one in self._best(each.values())]
        if chosen:
            self._predict(chosen, [label_of[one.prefix] for one in chosen])
        return chosen

    def _best(self, hypotheses: Iterable[_Hypothesis]) -> list[_Hypothesis]:
        ranked = sorted(hypotheses, key=lambda one: -one.log_prob)[: self._beam_size]
        return [one for one in ranked if one is ranked[0] or one.log_prob > ranked[0].log_prob - self._beam_threshold]

    def _predict(self, hypotheses: list[_Hypothesis], steps: list[tuple[int, int]]) -> None:
        """Give each hypothesis a row of its own, from its last label and the row before."""
        assert self._output is not None
        device = self._output.device
        labels, rows = (torch.tensor(each, device=device) for each in zip(*steps, strict=True))
        output, state = self._model.predict(labels, select_rows(self._state, rows, self._batch_dim))
        first = len(self._output)
        self._output = torch.cat([self._output, output])
        self._state = concatenate_rows([self._state, state], self._batch_dim)
        for index, one in enumerate(hypotheses):
            one.row = first + index

    def _keep_rows(self) -> None:
        """Let go the rows that no hypothesis of a beam has."""
        assert self._output is not None
        staying = [one for beam in self._beams for one in beam]
        rows = torch.tensor([one.row for one in staying], device=self._output.device)
        self._output = self._output[rows]
        self._state = select_rows(self._state, rows, self._batch_dim)
        for index, one in enumerate(staying):
            one.row = index


def _add(
    hypotheses: dict[_Prefix, _Hypothesis], prefix: _Prefix, log_prob: float, best: float, path: Path, of: _Hypothesis
) -> None:
    """Add a path to a prefix; its times are those of the most probable path."""
    there = hypotheses.get(prefix)
    if there is None:
        hypotheses[prefix] = _Hypothesis(of.stream, prefix, log_prob, best, path, of.row)
        return
    if best > there.best:
        there.best, there.path = best, path
    high, low = max(there.log_prob, log_prob), min(there.log_prob, log_prob)
    there.log_prob = high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _tokens(path: Path) -> list[TimedToken]:
    tokens = []
    while path is not None:
        path, token = path
        tokens.append(token)
    return tokens[::-1]
