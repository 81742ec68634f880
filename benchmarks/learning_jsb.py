"""JSB chorales: the notes of the next frame, 88 independent Bernoulli variables, from those before.

229 chorales to train on, 76 to choose by, 77 to test (Boulanger-Lewandowski et al. 2012). The measure is that of Bai et
al. 2018: the negative log-likelihood of a frame, summed over its notes, of every frame but the first of a chorale; all
such frames of a split count alike, so that long chorales count more. The weights kept are the best on the validation
split; so are the constants below.
"""

import math
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, dropout
from torch.nn.utils.rnn import pad_sequence

from benchmarks._learning import Outcome, count_parameters, fit, make_parser, measure, run_all, show
from benchmarks._learning_picture import draw_curves
from recurra.cells import GRU, LSTM, Cell
from recurra.layers import Recurrent
from recurra.training import Batch, TrainingSettings

try:
    from scipy.io import loadmat
except ImportError:
    loadmat = None

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "jsb_chorales"
CELLS: dict[str, Cell] = {"LSTM": LSTM(), "GRU": GRU()}
NOTES = 88
HIDDEN_SIZE, OUTPUT_DROPOUT, RECURRENT_DROPOUT = 300, 0.3, 0.0
BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 16, 1e-2, 0.3
EPOCHS, PATIENCE = 60, 10

Inputs = tuple[Tensor, list[int]]


def main() -> None:
    parser = make_parser(__doc__, ["chorales"], CELLS)
    options = parser.parse_args()
    if loadmat is None:
        parser.exit(2, "scipy is missing: pip install scipy\n")
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds jsb_chorales\n")
    report(run_all("learning_jsb", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table, and the curves as a picture in the folder."""
    title = "JSB chorales: negative log-likelihood a frame, mean and deviation over seeds"
    show(title, outcomes, {"test": ".3f", "validation": ".3f"}, options.markdown)
    path = options.out / "learning_jsb.png"
    draw_curves(outcomes, path, "validation nats a frame", {}, highest=10.0, logarithmic=False)
    print(f"written: {path}")


class NextFrame(nn.Module):
    """Logits (T, B, 88) of the next frame's notes, with dropout in and after the recurrent layer."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, NOTES, HIDDEN_SIZE, recurrent_dropout=RECURRENT_DROPOUT)
        self.readout = nn.Linear(HIDDEN_SIZE, NOTES)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        x, lengths = inputs
        output, state = self.recurrent(x, lengths=lengths)
        return self.readout(dropout(output, OUTPUT_DROPOUT, self.training)), state


def draw_batch(rolls: list[Tensor], seed: int, step: int) -> Batch:
    """The batch of a step, from 1; every roll once an epoch."""
    epoch, place = divmod(step - 1, _steps_per_epoch(rolls))
    order = np.random.default_rng((seed, epoch)).permutation(len(rolls))
    return make_batch([rolls[index] for index in order[place * BATCH_SIZE : (place + 1) * BATCH_SIZE]])


def make_batch(rolls: list[Tensor]) -> Batch:
    """All frames but the last as input, all but the first as target, padded."""
    lengths = [len(roll) - 1 for roll in rolls]
    frames = pad_sequence(rolls)
    return Batch((frames[:-1], lengths), (frames[1:], lengths))


def frame_loss(logits: Tensor, target: tuple[Tensor, list[int]]) -> Tensor:
    """Negative log-likelihood of a frame in nats: the sum over notes, the mean over all true frames."""
    frames, lengths = target
    true = torch.arange(len(frames)).unsqueeze(1) < torch.tensor(lengths)
    return binary_cross_entropy_with_logits(logits[true], frames[true], reduction="sum") / sum(lengths)


def read_rolls() -> dict[str, list[Tensor]]:
    """The rolls of each split as floats."""
    assert loadmat is not None
    content = loadmat(str(DATA / "JSB_Chorales.mat"))
    return {
        name: [torch.from_numpy(roll.astype(np.float32)) for roll in content[name][0]]
        for name in ("traindata", "validdata", "testdata")
    }


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training and its test."""
    rolls = read_rolls()
    torch.manual_seed(seed)
    model = NextFrame(CELLS[cell])
    training = rolls["traindata"]
    steps_per_epoch = _steps_per_epoch(training)
    settings = TrainingSettings(
        max_steps=round(budget * EPOCHS * steps_per_epoch),
        optimizer="AdamW",
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        schedule="CosineAnnealingLR",
        averaging=0.99,
        validate_every=steps_per_epoch,
        patience=PATIENCE,
        seed=seed,
    )
    validation = make_batch(rolls["validdata"])
    fitted = fit(model, frame_loss, lambda step: draw_batch(training, seed, step), settings, validation)
    figures = {
        "test": measure(model, frame_loss, make_batch(rolls["testdata"])),
        "validation": min(loss for _, loss in fitted.curve),
    }
    return Outcome(setting, cell, seed, count_parameters(model), fitted, figures)


def _steps_per_epoch(rolls: list[Tensor]) -> int:
    return math.ceil(len(rolls) / BATCH_SIZE)


if __name__ == "__main__":
    main()
