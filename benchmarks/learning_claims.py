"""What the papers of cells claim, on small tasks: each cell beside those that its paper compares it with.

first: the first of T = 300 random numbers is to be said after the last (Vecoven et al. 2021, first benchmark). Claimed:
BRC and nBRC learn it where LSTM and GRU do not. The mean squared error of the constant 0 is 1.

adding: the sum of the two numbers that are marked among T = 500 (`learning_adding`). Claimed: coRNN and LEM come far
below 1/6, the error of the constant 1 (Rusch and Mishra 2021, Rusch et al. 2022). LSTM and JANET begin with chrono
gates.

pixels: digits read pixel by pixel (`learning_digits`). Claimed of MNIST: JANET, begun with chrono gates, and LEM are
better than an LSTM (van der Westhuizen and Lasenby 2018, Rusch et al. 2022); a UGRNN trains as easily as a GRU (Collins
et al. 2017).

deep: the same in eight layers. Claimed: STAR trains where LSTM and GRU hardly do (Turkoglu et al. 2021).

Learning rates and steps were set beforehand and not searched. The claim of the multiplicative LSTM (Krause et al. 2016)
is of texts: `recurra train language --cell multiplicative_lstm` beside `--cell lstm`.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from benchmarks import learning_adding, learning_digits
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
from benchmarks._learning_cells import Learner, remember_in_gates
from benchmarks._learning_picture import draw_curves
from recurra.cells import BRC, GRU, JANET, LEM, LSTM, NBRC, STAR, UGRNN, CoRNN
from recurra.training import Batch, TrainingSettings

FIRST, ADDED = 300, 500


def first_batch(size: int, seed: int) -> Batch:
    """Sequences (T, B, 1) and their first numbers (B, 1)."""
    numbers = torch.randn(FIRST, size, 1, generator=torch.Generator().manual_seed(seed))
    return Batch(numbers, numbers[0])


def adding_batch(size: int, seed: int) -> Batch:
    """Sequences (T, B, 2) and their sums (B, 1)."""
    return learning_adding.make_batch(ADDED, size, seed)


def pixels_batch(size: int, seed: int) -> Batch:
    """Some images of the training split, or the whole of another split by its seed."""
    training, validation, test = learning_digits.read_splits()
    if seed in (VALIDATION_SEED, TEST_SEED):
        return Batch(*(validation if seed == VALIDATION_SEED else test))
    images, labels = training
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:size]
    return Batch(images[:, chosen], labels[chosen])


@dataclass(frozen=True)
class Task:
    """What is learned, and by which cells.

    Attributes:
        batch: sequences and their targets, from a size and a seed.
        steps: T.
        input_size: I.
        output_size: O.
        loss: that is trained, and validated.
        measures: of the test split, by name.
        max_steps: of a training.
        learners: the cells.
        lines: values to compare with, by name.
    """

    batch: Callable[[int, int], Batch]
    steps: int
    input_size: int
    output_size: int
    loss: Callable[[Tensor, Tensor], Tensor]
    measures: Mapping[str, Callable[[Tensor, Tensor], Tensor]]
    max_steps: int
    learners: Mapping[str, Learner]
    lines: Mapping[str, float]


BATCH_SIZE = 32
ERROR = {"error": mse_loss}
RIGHT = {"accuracy": learning_digits.accuracy}
# About 15,000 parameters each for the first number, 18,000 for the others.
TASKS = {
    "first": Task(
        first_batch,
        FIRST,
        1,
        1,
        mse_loss,
        ERROR,
        3000,
        {
            "nBRC": Learner(NBRC(), 85, 3e-3),
            "BRC": Learner(BRC(), 68, 3e-3, num_layers=2),
            "LSTM": Learner(LSTM(), 60, 3e-3),
            "GRU": Learner(GRU(), 70, 3e-3),
        },
        {"always 0": 1.0},
    ),
    "adding": Task(
        adding_batch,
        ADDED,
        2,
        1,
        mse_loss,
        ERROR,
        3000,
        {
            "coRNN": Learner(CoRNN(), 92, 2e-2),
            "LEM": Learner(LEM(dt=0.1), 64, 3e-3),
            "JANET": Learner(JANET(), 92, 3e-3, prepare=remember_in_gates),
            "LSTM": Learner(LSTM(), 64, 3e-3, prepare=remember_in_gates),
        },
        {"always 1": 1 / 6},
    ),
    "pixels": Task(
        pixels_batch,
        learning_digits.STEPS,
        1,
        learning_digits.CLASSES,
        cross_entropy,
        RIGHT,
        1000,
        {
            "JANET": Learner(JANET(), 92, 1e-2, prepare=remember_in_gates),
            "LEM": Learner(LEM(), 64, 1e-2),
            "UGRNN": Learner(UGRNN(), 92, 1e-2),
            "LSTM": Learner(LSTM(), 64, 1e-2, prepare=remember_in_gates),
            "GRU": Learner(GRU(), 74, 1e-2),
        },
        {"guessing": 2.303},
    ),
    "deep": Task(
        pixels_batch,
        learning_digits.STEPS,
        1,
        learning_digits.CLASSES,
        cross_entropy,
        RIGHT,
        1000,
        {
            "STAR": Learner(STAR(), 28, 3e-3, num_layers=8),
            "LSTM": Learner(LSTM(), 17, 3e-3, num_layers=8),
            "GRU": Learner(GRU(), 20, 3e-3, num_layers=8),
        },
        {"guessing": 2.303},
    ),
}


def main() -> None:
    cells = dict.fromkeys(name for task in TASKS.values() for name in task.learners)
    parser = make_parser(__doc__, TASKS, cells)
    options = parser.parse_args()
    for setting in options.settings:
        cells = [cell for cell in TASKS[setting].learners if cell in options.cells]
        if cells:
            of_task = Namespace(**{**vars(options), "settings": [setting], "cells": cells})
            report(run_all(f"learning_claims_{setting}", of_task, train), of_task)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table of one task, and the curves as a picture in the folder."""
    (setting,) = options.settings
    task = TASKS[setting]
    title = f"{setting}: test sequences, mean and deviation over seeds"
    show(title, outcomes, dict.fromkeys(task.measures, ".3g"), options.markdown)
    path = options.out / f"learning_claims_{setting}.png"
    logarithmic = task.loss is mse_loss
    draw_curves(outcomes, path, "validation loss", {setting: task.lines}, highest=3.0, logarithmic=logarithmic)
    print(f"written: {path}")


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    task = TASKS[setting]
    learner = task.learners[cell]
    torch.manual_seed(seed)
    model = learner.make(task.input_size, task.output_size, task.steps, every_step=False)
    settings = TrainingSettings(
        max_steps=round(budget * task.max_steps),
        optimizer="Adam",
        learning_rate=learner.learning_rate,
        schedule="CosineAnnealingLR",
        averaging=0.98,
        validate_every=task.max_steps // 20,
        seed=seed,
    )
    validation, test = task.batch(500, VALIDATION_SEED), task.batch(2000, TEST_SEED)
    fitted = fit(model, task.loss, lambda step: task.batch(BATCH_SIZE, step_seed(seed, step)), settings, validation)
    figures = {name: measure(model, of, test) for name, of in task.measures.items()}
    return Outcome(setting, cell, seed, count_parameters(model), fitted, figures)


if __name__ == "__main__":
    main()
