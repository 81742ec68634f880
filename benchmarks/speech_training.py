"""Training a recogniser on CMU AN4: hours of audio that an hour takes, beside the same network in plain torch.

The network is that of `recurra train speech` by default. Its twin has the same parameters in torch.nn's convolutions,
LSTMs (packed by length), normalisations and linear layer. Both make the same steps on the same batches, in turn:
zero_grad, network, the loss of CTC, backward, AdamW's step. Losses and gradients are compared before. Dropout is off,
so that they are equal. The last figure is that of whole training with its reading, features, augmentation and
dropout, without validation.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks._agreement import check_equal
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._timing import time_in_turn
from recurra.data.audio.read import read_utterances
from recurra.models.acoustic import CTCRecognizer
from recurra.models.acoustic.recognizer import Scores
from recurra.tasks.speech import SpeechRecognizer
from recurra.tasks.speech.training import ctc_loss

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "an4"
BATCHES = 8


class PlainRecognizer(nn.Module):
    """The layers of a `CTCRecognizer` of LSTMs in torch.nn's classes, with its parameters."""

    def __init__(self, other: CTCRecognizer) -> None:
        super().__init__()
        first = other.subsampling
        self.factor = first.factor
        self.convolutions = nn.ModuleList(
            nn.Conv2d(one.in_channels, one.out_channels, 3, 2)  # type: ignore[arg-type]
            for one in first.convolutions
        )
        self.norm = nn.LayerNorm(first.output_size)
        sizes = [first.output_size, *(layer.output_size for layer in other.layers)]  # type: ignore[misc]
        self.layers = nn.ModuleList(
            nn.LSTM(size, after // 2, batch_first=True, bidirectional=True) for size, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes[1:])
        self.scores = nn.Linear(sizes[-1], other.scores.out_features)
        for theirs, mine in self.pairs(other):
            mine.data.copy_(theirs.data)

    def pairs(self, other: CTCRecognizer) -> list[tuple[Tensor, Tensor]]:
        """The parameters of the other network, each beside that of this one."""
        parts = [
            *zip(self.convolutions, other.subsampling.convolutions, strict=True),
            (self.norm, other.subsampling.norm),
            *zip(self.layers, other.layers, strict=True),
            *zip(self.norms, other.norms, strict=True),
            (self.scores, other.scores),
        ]
        return [
            (dict(theirs.named_parameters())[name], parameter)
            for mine, theirs in parts
            for name, parameter in mine.named_parameters()
        ]

    def forward(self, features: Tensor, lengths: Tensor) -> Scores:
        x = F.pad(features, (0, 0, 0, -features.shape[1] % self.factor)).unsqueeze(1)
        for convolution in self.convolutions:
            x = convolution(F.pad(x, (1, x.shape[3] % 2, 1, 0))).relu()
        x, lengths = self.norm(x.permute(0, 2, 3, 1).flatten(2)), -(-lengths // self.factor)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x = norm(pad_packed_sequence(layer(packed)[0], batch_first=True)[0])
        return Scores(self.scores(x), lengths)


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def measure(options: Namespace, report: Report) -> None:
    data = read_utterances(DATA / "train.tsv")
    duration = sum(one.seconds for one in data)
    with TemporaryDirectory() as folder:
        values: dict[str, Any] = {"dropout": 0.0, "input_dropout": 0.0, "validation_fraction": 0.0, "max_steps": 1}
        still = SpeechRecognizer(**values).fit(data, folder=Path(folder) / "still", progress=False)
        objective = still.objective(still.fitted, still.read(data, None, None, True), None)
        batches = [objective.batches(objective.steps_per_epoch + 1 + number) for number in range(BATCHES)]
        frames = sum(int(batch.inputs[1].sum()) for batch in batches)
        audio = frames * still.fitted.learned.log_mel.frame_seconds / BATCHES
        ours, plain = in_turn(still.fitted.network, batches, options.seconds)
        whole = SpeechRecognizer(epochs=1.0, plain_steps=0, validation_fraction=0.0)
        result = whole.fit(data, folder=Path(folder) / "whole", progress=False).training_result
    assert result is not None
    table = report.table(
        f"Training on AN4, {audio:.0f} s of audio a step, {options.threads} threads",
        {"what": "34s", "ms a step": "9.1f", "hours an hour": "13.0f", "plain torch's time": "18.2f"},
    )
    for name, seconds in (("steps in plain torch", plain), ("steps of recurra", ours)):
        table.add(name, 1000 * seconds, audio / seconds, plain / seconds)
    steps = result.steps
    table.add("whole training, first epoch", 1000 * result.seconds / steps, duration / result.seconds, None)


def in_turn(network: CTCRecognizer, batches: list[Any], seconds: float) -> tuple[float, float]:
    """Seconds of a step of recurra and of plain torch. Losses and gradients are compared before."""
    other = PlainRecognizer(network)
    runs: list[tuple[nn.Module, Callable[[Any], Tensor]]] = [
        (network.train(), lambda batch: ctc_loss(network(batch.inputs)[0], batch.target)),
        (other.train(), lambda batch: ctc_loss(other(*batch.inputs), batch.target)),
    ]
    results = []
    for (_, loss), leaves in zip(runs, zip(*other.pairs(network), strict=True), strict=True):
        value = loss(batches[0])
        results.append([value, *torch.autograd.grad(value, leaves)])
    check_equal("recurra and plain torch", *results)
    ours, plain = time_in_turn(BATCHES * seconds, *(steps_of(one, loss, batches) for one, loss in runs))
    return ours / BATCHES, plain / BATCHES


def steps_of(network: nn.Module, loss: Callable[[Any], Tensor], batches: list[Any]) -> Callable[[], None]:
    """A function that trains on all batches."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)

    def steps() -> None:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(batch).backward()
            optimizer.step()

    return steps


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
