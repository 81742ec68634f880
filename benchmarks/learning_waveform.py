"""A waveform is to be generated from no input: the first task of the Clockwork RNN (Koutnik et al. 2014).

A network reads nothing but zeros and learns to put out one sequence of 320 samples. The paper takes pieces of music;
here a waveform is a sum of eight sines, whose periods are spread from 4 to 320 samples on a logarithmic scale and whose
phases and strengths depend on the seed. The figure is the paper's: the squared error over the variance of the waveform;
the mean alone has 1. There is no test split, as it is the training sequence that is to be generated.

Claimed: a Clockwork RNN with nine groups, of periods 1 to 256, has a far smaller error than an Elman network and an
LSTM of as many parameters, here about 850. Learning rates and steps were set beforehand and not searched.
"""

import math
from argparse import Namespace
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from benchmarks._learning import Outcome, count_parameters, fit, make_parser, measure, run_all, show
from benchmarks._learning_cells import SequenceModel
from benchmarks._learning_picture import draw_curves
from recurra import LSTM, RNN, ClockworkRNN, Recurrent
from recurra.training import Batch, TrainingSettings

STEPS = 320
SINES = 8
MAX_STEPS = 600
LEARNING_RATE = 1e-2
LAYERS: dict[str, Callable[[], Recurrent | ClockworkRNN]] = {
    "Clockwork": lambda: ClockworkRNN(1, 36, periods=9),
    "LSTM": lambda: LSTM(1, 13),
    "Elman": lambda: RNN(1, 27),
}


def make_waveform(seed: int) -> Batch:
    """No input (T, 1, 1), and the waveform (T, 1, 1) of mean 0 and variance 1."""
    generator = torch.Generator().manual_seed(seed)
    periods = torch.logspace(math.log10(4), math.log10(STEPS), SINES)
    phases, strengths = 2 * math.pi * torch.rand(SINES, generator=generator), torch.rand(SINES, generator=generator)
    angles = 2 * math.pi * torch.arange(STEPS).unsqueeze(1) / periods + phases
    wave = (strengths * angles.sin()).sum(1)
    wave = (wave - wave.mean()) / wave.std(correction=0)
    return Batch(torch.zeros(STEPS, 1, 1), wave.reshape(STEPS, 1, 1))


def main() -> None:
    options = make_parser(__doc__, ["waveform"], LAYERS).parse_args()
    report(run_all("learning_waveform", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    """The table, and the curves as a picture in the folder."""
    title = "A waveform of 320 samples: error over its variance, mean and deviation over seeds"
    show(title, outcomes, {"error": ".3g"}, options.markdown)
    path = options.out / "learning_waveform.png"
    draw_curves(outcomes, path, "error", {"waveform": {"the mean": 1.0}}, highest=3.0, logarithmic=True)
    print(f"written: {path}")


def train(setting: str, cell: str, seed: int, budget: float) -> Outcome:
    """One training."""
    torch.manual_seed(seed)
    model = SequenceModel(LAYERS[cell](), 1, every_step=True, limit=math.inf)
    steps = max(1, round(budget * MAX_STEPS))
    settings = TrainingSettings(
        max_steps=steps,
        optimizer="Adam",
        learning_rate=LEARNING_RATE,
        schedule="CosineAnnealingLR",
        validate_every=max(1, steps // 20),
        seed=seed,
    )
    wave = make_waveform(seed)
    fitted = fit(model, error, lambda step: wave, settings, wave)
    return Outcome(setting, cell, seed, count_parameters(model), fitted, {"error": measure(model, error, wave)})


def error(output: Tensor, wave: Tensor) -> Tensor:
    """Mean squared error, of a waveform whose variance is 1."""
    return mse_loss(output, wave)


if __name__ == "__main__":
    main()
