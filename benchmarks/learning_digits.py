"""Handwritten digits read pixel by pixel: scikit-learn's 1,797 images, 64 steps of one pixel each, row by row.

1,000 to train on, 297 to choose by, 500 to test, drawn once with the classes in proportion, the same for all seeds.
Every cell has about the same number of parameters and the same steps, and a learning rate that was set beforehand, not
searched. The weights that are kept are the best on the validation split.
"""

import math
from argparse import Namespace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks._learning import Outcome, count_parameters, fit, make_parser, measure, run_all, show, step_seed
from benchmarks._learning_cells import (
    Learner,
    keep_orthogonal,
    remember_by_unit,
    remember_in_gates,
)
from benchmarks._learning_picture import draw_curves
from recurra.cells import GRU, LSTM, Elman, IndRNN, MinGRU
from recurra.training import Batch, TrainingSettings

try:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ImportError:
    load_digits = train_test_split = None

STEPS, BRIGHTEST, CLASSES = 64, 16, 10
BATCH_SIZE, MAX_STEPS = 50, 1000

# About 18,000 parameters each.
LEARNERS = {
    "Elman": Learner(Elman(), 128, 1e-3),
    "Elman, orthogonal": Learner(Elman(), 128, 1e-3, prepare=keep_orthogonal),
    "IndRNN": Learner(IndRNN(), 128, 3e-3, num_layers=2, prepare=remember_by_unit, bounded=True),
    "minGRU": Learner(MinGRU(), 90, 1e-2, num_layers=2),
    "LSTM": Learner(LSTM(), 64, 1e-2, prepare=remember_in_gates),
    "GRU": Learner(GRU(), 74, 1e-2),
}

Split = tuple[Tensor, Tensor]


def main() -> None:
    parser = make_parser(__doc__, ["digits"], LEARNERS)
    options = parser.parse_args()
    if load_digits is None:
        parser.exit(2, "scikit-learn is missing: pip install scikit-learn\n")
    report(run_all("learning_digits", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table, and the curves as a picture in the folder."""
    title = "Digits pixel by pixel: 500 test images, mean and deviation over seeds"
    show(title, outcomes, {"accuracy": ".3f", "cross-entropy": ".3f"}, options.markdown)
    path = options.out / "learning_digits.png"
    lines = {"digits": {"guessing": math.log(CLASSES)}}
    draw_curves(outcomes, path, "validation cross-entropy", lines, highest=2.5, logarithmic=False)
    print(f"written: {path}")


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    training, validation, test = read_splits()
    torch.manual_seed(seed)
    model = LEARNERS[cell].make(1, CLASSES, STEPS, every_step=False)
    settings = TrainingSettings(
        max_steps=round(budget * MAX_STEPS),
        optimizer="Adam",
        learning_rate=LEARNERS[cell].learning_rate,
        schedule="CosineAnnealingLR",
        averaging=0.98,
        validate_every=25,
        seed=seed,
    )

    def draw(step: int) -> Batch:
        images, labels = training
        random = torch.Generator().manual_seed(step_seed(seed, step))
        chosen = torch.randperm(len(labels), generator=random)[:BATCH_SIZE]
        return Batch(images[:, chosen], labels[chosen])

    fitted = fit(model, cross_entropy, draw, settings, Batch(*validation))
    figures = {
        "accuracy": measure(model, accuracy, Batch(*test)),
        "cross-entropy": measure(model, cross_entropy, Batch(*test)),
    }
    return Outcome(setting, cell, seed, count_parameters(model), fitted, figures)


@cache
def read_splits() -> tuple[Split, Split, Split]:
    """Training, validation and test: pixels (T, B, 1) in 0 to 1 and digits (B,)."""
    assert load_digits is not None
    assert train_test_split is not None
    images, digits = load_digits(return_X_y=True)
    indices = np.arange(len(digits))
    rest, test = train_test_split(indices, test_size=500, random_state=0, stratify=digits)
    training, validation = train_test_split(rest, test_size=297, random_state=0, stratify=digits[rest])
    pixels = torch.from_numpy(images / BRIGHTEST).float().T.unsqueeze(2)
    labels = torch.from_numpy(digits)
    training, validation, test = ((pixels[:, chosen], labels[chosen]) for chosen in (training, validation, test))
    return training, validation, test


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the images that are right."""
    return (logits.argmax(1) == labels).float().mean()


if __name__ == "__main__":
    main()
