"""Copy memory (Hochreiter and Schmidhuber 1997, as in Arjovsky et al. 2016): ten symbols, said again after T steps.

Input is ten symbols of eight, T - 1 blanks, a delimiter and ten blanks; to be said are T + 10 blanks, then the symbols.
The loss is the mean cross-entropy of all T + 20 steps: without memory, 10 log 8 / (T + 20). Batches are drawn anew at
each step; validation and test are 200 and 1,000 sequences of other seeds.
"""

import math
from argparse import Namespace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

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
    SequenceModel,
    keep_orthogonal,
    remember_by_unit,
    remember_in_gates,
)
from benchmarks._learning_picture import draw_curves
from recurra.cells import GRU, LSTM, Elman, IndRNN
from recurra.training import Batch, TrainingSettings

LENGTHS = {"T=200": 200, "T=1000": 1000}
MAX_STEPS = {"T=200": 1000, "T=1000": 400}
BATCH_SIZE = 16
SYMBOLS, COPIED = 8, 10
BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1


def stay_nearly_linear(model: SequenceModel, steps: int) -> None:
    """Orthogonal weights that stay so, and a state so small that tanh hardly bends it: nothing fades over T steps.

    What tanh takes off a state of size a at each step is about a^3 / 3. Symbols therefore enter small and are read out
    large, and blanks, which go on for T steps, enter as nothing.
    """
    keep_orthogonal(model, steps)
    parameters = dict(model.recurrent.named_parameters())
    with torch.no_grad():
        parameters["weight_ih_l0"].mul_(0.1)
        parameters["weight_ih_l0"][:, BLANK] = 0
        parameters["bias_ih_l0"].zero_()
        parameters["bias_hh_l0"].zero_()
        model.readout.weight.mul_(100)


# About 19,000 parameters each.
LEARNERS = {
    "Elman": Learner(Elman(), 128, 5e-3),
    "Elman, orthogonal": Learner(Elman(), 128, 3e-4, prepare=stay_nearly_linear),
    "IndRNN": Learner(IndRNN(), 128, 2e-3, num_layers=2, prepare=remember_by_unit, bounded=True),
    "LSTM": Learner(LSTM(), 62, 5e-3, prepare=remember_in_gates),
    "GRU": Learner(GRU(), 72, 5e-3, prepare=remember_in_gates),
}


def main() -> None:
    options = make_parser(__doc__, LENGTHS, LEARNERS).parse_args()
    report(run_all("learning_copy", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table, and the curves as a picture in the folder."""
    title = "Copy memory: test sequences, mean and deviation over seeds"
    show(title, outcomes, {"cross-entropy": ".5f", "symbols recalled": ".3f"}, options.markdown)
    path = options.out / "learning_copy.png"
    lines = {name: {"without\nmemory": _without_memory(length)} for name, length in LENGTHS.items()}
    draw_curves(outcomes, path, "validation cross-entropy", lines, highest=0.4)
    print(f"written: {path}")


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    length = LENGTHS[setting]
    torch.manual_seed(seed)
    model = LEARNERS[cell].make(SYMBOLS + 2, SYMBOLS + 1, length, every_step=True)
    settings = TrainingSettings(
        max_steps=round(budget * MAX_STEPS[setting]),
        optimizer="Adam",
        learning_rate=LEARNERS[cell].learning_rate,
        schedule="CosineAnnealingLR",
        averaging=0.98,
        validate_every=50,
        seed=seed,
    )
    validation, test = make_batch(length, 200, VALIDATION_SEED), make_batch(length, 1000, TEST_SEED)
    fitted = fit(
        model, step_loss, lambda step: make_batch(length, BATCH_SIZE, step_seed(seed, step)), settings, validation
    )
    figures = {"cross-entropy": measure(model, step_loss, test), "symbols recalled": measure(model, recalled, test)}
    return Outcome(setting, cell, seed, count_parameters(model), fitted, figures)


def make_batch(length: int, size: int, seed: int, copied: int = COPIED) -> Batch:
    """Input (T + 2 C, B, 10), one-hot, and what is to be said (T + 2 C, B), as indices; C symbols are `copied`."""
    random = torch.Generator().manual_seed(seed)
    symbols = torch.randint(SYMBOLS, (copied, size), generator=random)
    told = torch.full((length + 2 * copied, size), BLANK)
    told[:copied] = symbols
    told[length + copied - 1] = DELIMITER
    said = torch.full_like(told, BLANK)
    said[-copied:] = symbols
    return Batch(one_hot(told, SYMBOLS + 2).float(), said)


def step_loss(logits: Tensor, said: Tensor) -> Tensor:
    """Mean cross-entropy of all steps."""
    return cross_entropy(logits.flatten(0, 1), said.flatten())


def recalled(logits: Tensor, said: Tensor, copied: int = COPIED) -> Tensor:
    """Share of the symbols that are right."""
    return (logits[-copied:].argmax(2) == said[-copied:]).float().mean()


def _without_memory(length: int) -> float:
    return COPIED * math.log(SYMBOLS) / (length + 2 * COPIED)


if __name__ == "__main__":
    main()
