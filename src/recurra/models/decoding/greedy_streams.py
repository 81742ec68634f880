"""The best unit at each step of one stream, by CTC or a transducer; what is written does not change later."""

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch

from recurra.models.decoding.timed import TimedToken
from recurra.models.decoding.transducer_greedy import TransducerGreedy

__all__ = ["CTCGreedyStream", "GreedyStream", "TransducerGreedyStream"]


class GreedyStream(Protocol):
    """A greedy search that is fed in chunks of any size.

    Attributes:
        emissions: the units so far; the caller may take some out at the front.
        step: the index of the next step.
        blank_steps: consecutive steps without a unit, up to the present.
        max_symbols: units of one step at most.
    """

    emissions: list[TimedToken]
    step: int
    blank_steps: int
    max_symbols: int

    @property
    def memory_size(self) -> int:
        """N, the numbers that `save` writes."""
        ...

    def save(self) -> np.ndarray:
        """What it remembers beside the attributes (N,) float32: zeros before the first step of an utterance."""
        ...

    def load(self, memory: np.ndarray) -> None:
        """Remember what `save` wrote."""
        ...

    def accept(self, steps: np.ndarray) -> None:
        """Read what the network puts out for the next steps."""
        ...

    def start_anew(self) -> None:
        """Begin an utterance; steps are still counted from the beginning of the stream."""
        ...


class CTCGreedyStream:
    """The best unit at each step; the same unit at consecutive steps counts once, blanks do not count.

    See `GreedyStream`.
    """

    memory_size, max_symbols = 1, 1

    def __init__(self) -> None:
        self.emissions: list[TimedToken] = []
        self.step = 0
        self.blank_steps = 0
        self._previous = 0

    def save(self) -> np.ndarray:
        return np.array([self._previous], np.float32)

    def load(self, memory: np.ndarray) -> None:
        self._previous = int(memory[0])

    def accept(self, steps: np.ndarray) -> None:
        """Read the log probabilities (n, V) of the next steps."""
        best = steps.argmax(axis=1)
        for unit, log_prob in zip(best.tolist(), steps[np.arange(len(best)), best].tolist(), strict=True):
            if not unit:
                self.blank_steps += 1
            else:
                self.blank_steps = 0
                if unit != self._previous:
                    self.emissions.append(TimedToken(unit, self.step, self.step + 1, self.step, log_prob))
                elif self.emissions:
                    last = self.emissions[-1]
                    if log_prob > last.log_prob:
                        last = replace(last, peak=self.step, log_prob=log_prob)
                    self.emissions[-1] = replace(last, end=self.step + 1)
            self._previous = unit
            self.step += 1

    def start_anew(self) -> None:
        self.blank_steps = 0


class TransducerGreedyStream:
    """At each step the most probable units of a transducer, until that is the blank; see `GreedyStream`.

    Args:
        model: a `recurra.models.decoding.Transducer`, whose blank is 0.
        max_symbols: units of one step at most.
        batch_dim: of the state's tensors, the dimension that holds the rows.
        device: of the model.
    """

    def __init__(
        self, model: Any, max_symbols: int = 5, batch_dim: int = 1, *, device: torch.device | str = "cpu"
    ) -> None:
        self.emissions: list[TimedToken] = []
        self.step = 0
        self.blank_steps = 0
        self.max_symbols = max_symbols
        self._options = (model, 1, 0, max_symbols, batch_dim)
        self._search = TransducerGreedy(*self._options)
        self._row = torch.zeros(1, dtype=torch.int64, device=device)

    @property
    @torch.no_grad()
    def memory_size(self) -> int:
        search = TransducerGreedy(*self._options)
        search.begin(self._row.device)
        return 1 + sum(tensor.numel() for tensor in search.predicted)

    def save(self) -> np.ndarray:
        tensors = self._search.predicted
        if not tensors:
            return np.zeros(self.memory_size, np.float32)
        return torch.cat([torch.ones(1), *(tensor.detach().cpu().flatten() for tensor in tensors)]).numpy()

    @torch.no_grad()
    def load(self, memory: np.ndarray) -> None:
        self._search = TransducerGreedy(*self._options)
        if not memory[0]:
            return
        self._search.begin(self._row.device)
        tensors = self._search.predicted
        values = torch.from_numpy(memory[1:].copy()).to(self._row.device)
        for tensor, own in zip(tensors, values.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(own.view_as(tensor))

    @torch.no_grad()
    def accept(self, steps: np.ndarray) -> None:
        """Read what the joiner reads (n, J) of the next steps."""
        frames = torch.from_numpy(np.ascontiguousarray(steps)).to(self._row.device)
        for frame in frames.unsqueeze(1):
            self._search.read(frame, self._row)
            written = self._search.take(0)
            self.blank_steps = 0 if written else self.blank_steps + 1
            self.emissions += [replace(one, start=self.step, end=self.step + 1, peak=self.step) for one in written]
            self.step += 1

    def start_anew(self) -> None:
        self.blank_steps = 0
        self._search = TransducerGreedy(*self._options)
