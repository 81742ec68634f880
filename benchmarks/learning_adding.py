"""The adding problem (Hochreiter and Schmidhuber 1997): the sum of the two numbers that are marked among T.

As in Bai et al. 2018: a step's input is a number uniform in 0 to 1 and a mark, 1 at two steps and 0 at all others; the
sum is read out after the last step. The mean squared error of the constant 1 is 1/6. Batches are drawn anew at each
step; validation and test are 1,000 and 2,000 sequences of other seeds.
"""

from argparse import Namespace

import torch
from torch.nn.functional import mse_loss

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
from benchmarks._learning_cells import (
    Learner,
    keep_orthogonal,
    remember_by_unit,
    remember_in_gates,
)
from benchmarks._learning_picture import draw_curves
from recurra.cells import GRU, LSTM, Elman, IndRNN
from recurra.training import Batch, TrainingSettings

LENGTHS = {"T=200": 200, "T=600": 600}
MAX_STEPS = {"T=200": 1500, "T=600": 3000}
BATCH_SIZE = 16

# About 17,000 parameters each.
LEARNERS = {
    "Elman": Learner(Elman(), 128, 1e-3),
    "Elman, orthogonal": Learner(Elman(), 128, 1e-3, prepare=keep_orthogonal),
    "IndRNN": Learner(IndRNN(), 128, 2e-3, num_layers=2, prepare=remember_by_unit, bounded=True),
    "LSTM": Learner(LSTM(), 64, 1e-2, prepare=remember_in_gates),
    "GRU": Learner(GRU(), 74, 1e-2),
}


def main() -> None:
    options = make_parser(__doc__, LENGTHS, LEARNERS).parse_args()
    report(run_all("learning_adding", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table, and the curves as a picture in the folder."""
    title = "The adding problem: test sequences, mean and deviation over seeds"
    show(title, outcomes, {"mean squared error": ".1e"}, options.markdown)
    path = options.out / "learning_adding.png"
    without = {"always 1": 1 / 6}
    lines = {"T=200": without, "T=600": {**without, "GRU of Bai\net al. 2018": 5.3e-5}}
    draw_curves(outcomes, path, "validation mean squared error", lines, highest=0.5)
    print(f"written: {path}")


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    length = LENGTHS[setting]
    torch.manual_seed(seed)
    model = LEARNERS[cell].make(2, 1, length, every_step=False)
    settings = TrainingSettings(
        max_steps=round(budget * MAX_STEPS[setting]),
        optimizer="Adam",
        learning_rate=LEARNERS[cell].learning_rate,
        schedule="CosineAnnealingLR",
        averaging=0.98,
        validate_every=MAX_STEPS[setting] // 30,
        seed=seed,
    )
    validation, test = make_batch(length, 1000, VALIDATION_SEED), make_batch(length, 2000, TEST_SEED)
    fitted = fit(
        model, mse_loss, lambda step: make_batch(length, BATCH_SIZE, step_seed(seed, step)), settings, validation
    )
    error = measure(model, mse_loss, test)
    return Outcome(setting, cell, seed, count_parameters(model), fitted, {"mean squared error": error})


def make_batch(length: int, size: int, seed: int) -> Batch:
    """Sequences (T, B, 2) and their sums (B, 1)."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.rand(length, size, generator=random)
    marked = torch.rand(length, size, generator=random).topk(2, dim=0).indices
    sums = numbers.gather(0, marked).sum(0).unsqueeze(1)
    marks = torch.zeros(length, size).scatter_(0, marked, 1.0)
    return Batch(torch.stack([numbers, marks], 2), sums)


if __name__ == "__main__":
    main()
