"""A language model whose state grows with each token, such as a recurrent one, beside CTC's beam search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.models.decoding.rows import Step, concatenate_rows, select_rows

__all__ = ["FusionStates", "TokenFusion"]


@dataclass(frozen=True)
class TokenFusion:
    """Shallow fusion (Gülçehre et al. 2015) of a model over tokens: `weight` times its log-probability of each token.

    Attributes:
        step: from the last tokens (N,) and a state the log-probabilities (N, W) of the next ones, and the state after.
        state: before the first token, with one row, of a type that `select_rows` and `concatenate_rows` take.
        begin: the model's token before a text.
        columns: for each symbol of CTC (V) the model's token; that of the blank is never read.
        end: the model's token after a text; None: the end of a text is not scored.
        weight: of the log-probabilities, above 0.
        batch_dim: of the state's tensors, the dimension that holds the rows: 0, or 1 for a recurrent state (L, B, H).
    """

    step: Step
    state: Any
    begin: int
    columns: Sequence[int]
    end: int | None = None
    weight: float = 0.3
    batch_dim: int = 0


class FusionStates:
    """The model's states of a search's prefixes; those of the new prefixes of a frame are made in one step.

    Args:
        fusion: the model.
        beam: the engine's search.
    """

    def __init__(self, fusion: TokenFusion, beam: Any) -> None:
        self._fusion, self._beam = fusion, beam
        self._columns = torch.tensor([max(one, 0) for one in fusion.columns])
        self._rows: dict[int, int] = {}  # of the state, by the search's node
        self._state: Any = None
        self._size = 0

    @torch.no_grad()
    def supply(self) -> None:
        """Give the search the scores that it waits for."""
        for node in self._beam.take_freed():
            self._rows.pop(node, None)
        pending = self._beam.pending()
        if not pending:
            return
        fusion = self._fusion
        nodes, parents, tokens = zip(*pending, strict=True)
        if self._state is None:
            before, last = fusion.state, [fusion.begin]
        else:
            rows = torch.tensor([self._rows[parent] for parent in parents])
            before = select_rows(self._state, rows, fusion.batch_dim)
            last = [fusion.columns[token] for token in tokens]
        log_probs, after = fusion.step(torch.tensor(last), before)
        self._beam.supply(self._scores(log_probs), len(fusion.columns))
        self._add(nodes, after)

    def _scores(self, log_probs: Tensor) -> Tensor:
        """The log-probabilities by symbol of CTC, and of the end behind them (N, V + 1)."""
        log_probs = log_probs.cpu().float()
        ends = log_probs[:, self._fusion.end] if self._fusion.end is not None else log_probs.new_zeros(len(log_probs))
        return torch.cat([log_probs[:, self._columns], ends.unsqueeze(1)], 1)

    def _add(self, nodes: Sequence[int], state: Any) -> None:
        dim = self._fusion.batch_dim
        if self._size > 2 * len(self._rows) + 64:
            # Most rows are those of prefixes that are freed.
            self._state = select_rows(self._state, torch.tensor(list(self._rows.values())), dim)
            self._rows = {node: row for row, node in enumerate(self._rows)}
            self._size = len(self._rows)
        self._state = state if self._state is None else concatenate_rows([self._state, state], dim)
        self._rows |= {node: self._size + index for index, node in enumerate(nodes)}
        self._size += len(nodes)
