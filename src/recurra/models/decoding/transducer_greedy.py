"""Greedy search with a recurrent transducer."""

from typing import Any

import torch
from torch import Tensor

from recurra.models.decoding.rows import concatenate_rows, select_rows, tensors_of
from recurra.models.decoding.timed import TimedToken

__all__ = ["TransducerGreedy"]


class TransducerGreedy:
    """At each frame the most probable symbol, until that is the blank; see `TransducerSearch`.

    Args:
        model: a `Transducer`.
        rows: streams, B.
        blank: the symbol that is the blank.
        max_symbols: labels of one frame at most.
        batch_dim: of the state's tensors, the dimension that holds the rows.
    """

    def __init__(self, model: Any, rows: int, blank: int, max_symbols: int, batch_dim: int) -> None:
        self.rows = rows
        self._model, self._blank, self._max_symbols, self._batch_dim = model, blank, max_symbols, batch_dim
        self._tokens: list[list[TimedToken]] = [[] for _ in range(rows)]
        self._log_probs = [0.0] * rows
        self._frames = [0] * rows
        self._output: Tensor | None = None
        self._state: Any = None

    def begin(self, device: torch.device) -> None:
        """Predict what follows a blank, as before the first unit of an utterance."""
        self._output, self._state = self._model.predict(torch.full((self.rows,), self._blank, device=device), None)

    @property
    def predicted(self) -> list[Tensor]:
        """The output and the state of the prediction network; none before the first frame."""
        return [] if self._output is None else [self._output, *tensors_of(self._state)]

    def read(self, frames: Tensor, active: Tensor) -> None:
        """Read one frame of each stream (B, J), of those that are active (rows of them)."""
        if self._output is None:
            self.begin(frames.device)
        rows = active
        for emitted in range(self._max_symbols + 1):
            assert self._output is not None
            log_probs = self._model.join(frames[rows], self._output[rows])
            best, labels = log_probs.max(1)
            if emitted == self._max_symbols:
                best, labels = log_probs[:, self._blank], torch.full_like(labels, self._blank)
            chosen = zip(rows.tolist(), labels.tolist(), best.tolist(), strict=True)
            for row, label, log_prob in chosen:
                self._log_probs[row] += log_prob
                if label != self._blank:
                    at = self._frames[row]
                    self._tokens[row].append(TimedToken(label, at, at + 1, at, log_prob))
            more = labels != self._blank
            rows, labels = rows[more], labels[more]
            if not len(rows):
                break
            self._predict(rows, labels)
        for row in active.tolist():
            self._frames[row] += 1

    def take(self, row: int) -> list[TimedToken]:
        """The tokens of a stream since the last call, which are then forgotten."""
        taken, self._tokens[row] = self._tokens[row], []
        return taken

    def best(self, n_best: int) -> list[list[tuple[list[TimedToken], float]]]:
        """Of each stream the one hypothesis: its tokens and log-probability."""
        return [[(list(tokens), log_prob)] for tokens, log_prob in zip(self._tokens, self._log_probs, strict=True)]

    def _predict(self, rows: Tensor, labels: Tensor) -> None:
        """The prediction network's step in some rows; the others stay as they are."""
        output, state = self._model.predict(labels, select_rows(self._state, rows, self._batch_dim))
        index = torch.arange(self.rows, device=rows.device)
        index[rows] = self.rows + torch.arange(len(rows), device=rows.device)
        self._output = torch.cat([self._output, output])[index]  # type: ignore[list-item]
        self._state = select_rows(concatenate_rows([self._state, state], self._batch_dim), index, self._batch_dim)
