"""Recall: what cells and stacks of blocks remember, by the size of their state.

mqar: multi-query associative recall (Arora et al. 2023). A sequence begins with pairs of a key and a value. Each key
comes once again, and its value is to be said there; the gaps before these places follow a power law, so that most are
small. All other places hold random tokens that are none of the sequence's keys.

selective: selective copying (Gu and Dao 2023). Sixteen symbols stand anywhere among blanks; at the end they are to be
said in their order.

The figure is the fraction of right answers on 1,000 test sequences. Training batches are new at every step. `state` is
how many numbers a network carries from step to step.
"""

from argparse import Namespace
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks._learning import (
    TEST_SEED,
    VALIDATION_SEED,
    Outcome,
    count_parameters,
    fit,
    make_parser,
    measure,
    run_all,
    show,
    step_seed,
)
from recurra.cells import GRU, LSTM, Cell
from recurra.data.batches.ignored import IGNORED, is_ignored
from recurra.layers import Architecture, trunk
from recurra.layers.stack.block import sizes_of
from recurra.training import Batch, TrainingSettings

HIDDEN = 64
BATCH_SIZE = 32
MAX_STEPS = 2000
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Setting:
    """What is to be recalled.

    Attributes:
        steps: of a sequence, T.
        items: pairs of a key and a value, or symbols to be copied.
        tokens: V, different ones.
    """

    steps: int
    items: int
    tokens: int

    def batch(self, size: int, seed: int) -> Batch:
        raise NotImplementedError


class AssociativeRecall(Setting):
    """The first half of the tokens are keys and what fills gaps, the others values."""

    def batch(self, size: int, seed: int) -> Batch:
        random = np.random.default_rng(seed)
        half, first = self.tokens // 2, 2 * self.items
        places = (self.steps - first) // 2
        # p(gap) = a gap^(a - 1), a = 0.01, as in the paper.
        weights = 0.01 * np.arange(1, places + 1) ** (0.01 - 1.0)
        told = np.zeros((size, self.steps), dtype=np.int64)
        said = np.full_like(told, IGNORED)
        for row in range(size):
            order = random.permutation(half)
            keys, others = order[: self.items], order[self.items :]
            values = half + random.permutation(half)[: self.items]
            told[row] = random.choice(others, self.steps)
            told[row, 0:first:2], told[row, 1:first:2] = keys, values
            gaps = first + 2 * random.choice(places, self.items, replace=False, p=weights / weights.sum())
            told[row, gaps], said[row, gaps] = keys, values
        return Batch(torch.from_numpy(told), torch.from_numpy(said))


class SelectiveCopying(Setting):
    """Token 0 is the blank, 1 asks for the symbols, the others are symbols."""

    def batch(self, size: int, seed: int) -> Batch:
        random = np.random.default_rng(seed)
        told = np.zeros((size, self.steps + self.items), dtype=np.int64)
        said = np.full_like(told, IGNORED)
        told[:, self.steps :] = 1
        for row in range(size):
            symbols = random.integers(2, self.tokens, self.items)
            told[row, np.sort(random.choice(self.steps, self.items, replace=False))] = symbols
            said[row, self.steps :] = symbols
        return Batch(torch.from_numpy(told), torch.from_numpy(said))


SETTINGS: dict[str, Setting] = {
    "mqar": AssociativeRecall(64, 8, 256),
    "mqar long": AssociativeRecall(256, 32, 256),
    "selective": SelectiveCopying(256, 16, 18),
}
# Each of about two mixing blocks of 64 features.
LEARNERS: dict[str, tuple[Cell | Architecture, int]] = {
    "LSTM": (LSTM(), 2),
    "GRU": (GRU(), 2),
    "min_gru": (Architecture.of("min_gru_block"), 2),
    "qrnn": (Architecture.of(["qrnn:2", "mlp:2"]), 2),
    "lru": (Architecture.of(["lru > gelu", "mlp:2"]), 2),
    "hawk": (Architecture.of("hawk"), 2),
    "slstm": (Architecture.of("slstm_block"), 2),
    "mlstm": (Architecture.of("mlstm_block"), 2),
    "attention:16": (Architecture.of(["conv:4", "attention:16", "mlp:2"]), 2),
    "lstm + attention:16": (Architecture.of("lstm_attention:16"), 2),
    "hawk + attention:16": (Architecture.of(["gated(conv:4 > rg_lru)", "attention:16", "mlp:2"]), 2),
    "hawk + attention:64": (Architecture.of(["gated(conv:4 > rg_lru)", "attention:64", "mlp:2"]), 2),
}


class Recaller(nn.Module):
    """Embedding, layers, and scores of the tokens at each step."""

    def __init__(self, kind: Cell | Architecture, num_layers: int, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, HIDDEN)
        self.layers = trunk(kind, HIDDEN, HIDDEN, num_layers)
        self.readout = nn.Linear(HIDDEN, tokens)

    def forward(self, told: Tensor) -> tuple[Tensor, Tensor]:
        output, state = self.layers(self.embedding(told))
        return self.readout(output), state


def main() -> None:
    options = make_parser(__doc__, SETTINGS, LEARNERS).parse_args()
    report(run_all("recall", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table."""
    title = f"Recall, H = {HIDDEN}: test sequences, mean and deviation over seeds"
    show(title, outcomes, {"recalled": ".3f", "state": ".0f"}, options.markdown)


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    task = SETTINGS[setting]
    torch.manual_seed(seed)
    model = Recaller(*LEARNERS[cell], task.tokens)
    steps = max(1, round(budget * MAX_STEPS))
    settings = TrainingSettings(
        max_steps=steps,
        optimizer="AdamW",
        learning_rate=LEARNING_RATE,
        schedule="CosineAnnealingLR",
        validate_every=max(1, steps // 10),
        seed=seed,
    )
    validation, test = task.batch(200, VALIDATION_SEED), task.batch(1000, TEST_SEED)
    fitted = fit(model, loss, lambda step: task.batch(BATCH_SIZE, step_seed(seed, step)), settings, validation)
    state = sum(sizes_of(model(test.inputs[:1])[1]))
    return Outcome(
        setting,
        cell,
        seed,
        count_parameters(model),
        fitted,
        {"recalled": measure(model, recalled, test), "state": state},
    )


def loss(logits: Tensor, said: Tensor) -> Tensor:
    """Mean cross-entropy of what is to be said."""
    return cross_entropy(logits.flatten(0, 1), said.flatten(), ignore_index=IGNORED)


def recalled(logits: Tensor, said: Tensor) -> Tensor:
    """Fraction of right answers."""
    asked = ~is_ignored(said)
    return (logits.argmax(2)[asked] == said[asked]).float().mean()


if __name__ == "__main__":
    main()
