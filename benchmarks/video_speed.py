"""Frames a second of a classifier of videos, streamed and in batches, beside a loop in plain torch with its weights.

The network is that of `recurra train video` with frames of 48 x 48 pixels, but reads forward alone, with untrained
weights. Streamed: one frame at a time, and a decision at each. Plain torch has the same convolutions, torch.nn.LSTM and
a running mean and maximum. Outputs are checked before; both are timed in turn in one process. A ratio above 1: ours is
faster.
"""

from argparse import ArgumentParser, Namespace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._agreement import check_equal
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._timing import time_in_turn
from recurra.cells import find_cell
from recurra.models import SequenceClassifier
from recurra.models.frame_reader import FrameReader
from recurra.streaming import Stepper

SIZE, HIDDEN, LAYERS, LABELS = 48, 128, 2, 27
BATCH, STEPS = 8, 32


def add_options(parser: ArgumentParser) -> None:
    parser.set_defaults(threads=1)


@torch.no_grad()
def measure(options: Namespace, report: Report) -> None:
    reader = FrameReader(SIZE, 64).eval()
    classifier = SequenceClassifier(
        find_cell("lstm"), reader.output_size, HIDDEN, LABELS, LAYERS, bidirectional=False, pooling=("mean", "max")
    ).eval()
    plain = Plain(reader, classifier)
    frames = torch.randint(256, (BATCH, STEPS, SIZE, SIZE, 3), dtype=torch.uint8)
    lengths = torch.full((BATCH,), STEPS)
    runs = {
        f"batches of {BATCH} x {STEPS}": (
            BATCH * STEPS,
            lambda: classifier(reader(frames, lengths)[0], lengths)[0],
            lambda: plain.whole(frames),
        ),
        "streamed": (
            STEPS,
            lambda: streamed(reader, Stepper(classifier), frames[0]),
            lambda: plain.streamed(frames[0]),
        ),
    }
    table = report.table("Frames a second", {"how": "22s", "ours": "9.0f", "plain torch": "11.0f", "ratio": "6.2f"})
    for name, (count, ours, loop) in runs.items():
        check_equal(f"{name}: ours and plain torch", [loop()], [ours()])
        own, other = time_in_turn(options.seconds, ours, loop)
        table.add(name, count / own, count / other, other / own)


def streamed(reader: FrameReader, stepper: Stepper, frames: Tensor) -> Tensor:
    """The scores after each frame (T, K)."""
    state, one, scores = stepper.new_state(), torch.tensor([1]), []
    for frame in frames:
        features, _ = reader(frame[None, None], one)
        logits, state = stepper(features[0].numpy(), state)
        scores.append(np.asarray(logits).reshape(-1))
    return torch.from_numpy(np.stack(scores))


class Plain:
    """The same network as it is usually written in torch."""

    def __init__(self, reader: FrameReader, classifier: SequenceClassifier) -> None:
        self.grid, self.frame, self.scores = reader.grid.layers, reader.features, classifier.scores
        self.lstm = nn.LSTM(reader.output_size, HIDDEN, LAYERS, batch_first=True)
        own = dict(classifier.recurrent.named_parameters())
        with torch.no_grad():
            for name, weight in self.lstm.named_parameters():
                weight.copy_(own[name])

    def features(self, frames: Tensor) -> Tensor:
        """Of frames (N, S, S, 3)."""
        return self.frame(self.grid((frames.permute(0, 3, 1, 2).float() - 127) / 128).flatten(1))

    def whole(self, frames: Tensor) -> Tensor:
        """The scores (B, K) of clips (B, T, S, S, 3)."""
        output, _ = self.lstm(self.features(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]))
        return self.scores(torch.cat([output.mean(1), output.amax(1)], 1))

    def streamed(self, frames: Tensor) -> Tensor:
        """The scores after each frame (T, K)."""
        state, scores, total, largest = None, [], torch.zeros(HIDDEN), torch.full((HIDDEN,), -torch.inf)
        for count, frame in enumerate(frames, start=1):
            output, state = self.lstm(self.features(frame[None]), state)
            total, largest = total + output[0], torch.maximum(largest, output[0])
            scores.append(self.scores(torch.cat([total / count, largest])))
        return torch.stack(scores)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
