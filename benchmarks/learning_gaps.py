"""Copying over longer gaps than were trained: a task of recurrent independent mechanisms (Goyal et al. 2019).

Two symbols of eight are said again after T steps (`learning_copy` has the task). Networks are trained with T = 10 and
tested with T = 10, 20, 40 and 80. The paper trains with 50 and tests with 200, ten symbols and a network of 600 units.

Claimed: RIMs with four of six modules active still copy where an LSTM fails, as modules can rest during the gap. Both
have about 8,600 parameters here, the usual first values of their kind and the same learning rate, which was set
beforehand and not searched.
"""

import math
from argparse import Namespace
from collections.abc import Callable
from functools import partial

import torch

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
from benchmarks._learning_cells import SequenceModel
from benchmarks.learning_copy import SYMBOLS, make_batch, recalled, step_loss
from recurra import LSTM, RIM, Recurrent
from recurra.training import TrainingSettings

COPIED = 2
TRAINED, TESTED = 10, (10, 20, 40, 80)
MAX_STEPS = 400
BATCH_SIZE = 64
LEARNING_RATE = 5e-3
LAYERS: dict[str, Callable[[], Recurrent | RIM]] = {
    "RIM": lambda: RIM(SYMBOLS + 2, 60, num_modules=6, num_active=4),
    "LSTM": lambda: LSTM(SYMBOLS + 2, 40),
}


def main() -> None:
    options = make_parser(__doc__, [f"T={TRAINED}"], LAYERS).parse_args()
    report(run_all("learning_gaps", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table."""
    title = "Copying over gaps, trained on the first: fraction of symbols recalled, mean and deviation over seeds"
    show(title, outcomes, {f"gap {gap}": ".3f" for gap in TESTED}, options.markdown)


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test at every gap."""
    torch.manual_seed(seed)
    model = SequenceModel(LAYERS[cell](), SYMBOLS + 1, every_step=True, limit=math.inf)
    steps = max(1, round(budget * MAX_STEPS))
    settings = TrainingSettings(
        max_steps=steps,
        optimizer="Adam",
        learning_rate=LEARNING_RATE,
        schedule="CosineAnnealingLR",
        validate_every=max(1, steps // 8),
        seed=seed,
    )
    batch = partial(make_batch, copied=COPIED)
    validation = batch(TRAINED, 200, VALIDATION_SEED)
    fitted = fit(model, step_loss, lambda step: batch(TRAINED, BATCH_SIZE, step_seed(seed, step)), settings, validation)
    right = partial(recalled, copied=COPIED)
    figures = {f"gap {gap}": measure(model, right, batch(gap, 1000, TEST_SEED)) for gap in TESTED}
    return Outcome(setting, cell, seed, count_parameters(model), fitted, figures)


if __name__ == "__main__":
    main()
