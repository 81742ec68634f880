"""Drawings of sheep and characters: nats a point beside the recipe of sketch-rnn, run for the same processor time.

Both are chosen by the validation part and scored on the test part, once. Processor time is what is compared, so that
other work on the machine makes neither better. The time of a step is beside the same network in a loop of torch.
"""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._published_sketch_rnn import CODE, Surprise, train_published
from recurra import DrawingModel, Recurrent
from recurra.cells import LayerNormLSTM
from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.read import read_drawings
from recurra.tasks.draw.results import MODEL, surprise_of

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = {"sheep": DATA / "aaron_sheep" / "aaron_sheep.npz", "kanji": DATA / "kanji" / "short_kanji.npz"}


@dataclass(frozen=True)
class Row:
    """What was measured of one training."""

    surprise: Surprise
    steps: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--files", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--kinds", nargs="+", choices=("plain", "codes"), default=["plain", "codes"])
    parser.add_argument("--methods", nargs="+", choices=("recurra", "published"), default=["recurra", "published"])
    parser.add_argument("--seconds", type=float, default=720.0, help="of processor time, of each training")
    parser.add_argument("--hidden-size", type=int, default=512, help="of recurra's decoder; the recipe has 512")
    parser.add_argument("--step", action="store_true", help="only the time of a step")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.step:
        time_steps()
        return
    for name in options.files:
        if not FILES[name].is_file():
            parser.exit(2, f"{FILES[name]}: not there; set RECURRA_DATA to the folder that holds it\n")
    columns = ("nats/point", "offset", "pen", "L_R", "L_KL", "steps", "seconds")
    print(f"{'':32}" + "".join(f"{column:>11}" for column in columns), flush=True)
    for name in options.files:
        drawings = read_drawings(FILES[name])
        for kind in options.kinds:
            for seed in options.seeds:
                for method in options.methods:
                    run = recurra if method == "recurra" else published
                    row = run(drawings, kind == "codes", options.seconds, seed, options.hidden_size)
                    show(f"{name}, {kind}, seed {seed}, {method}", row, drawings)


def recurra(drawings: Drawings, codes: bool, seconds: float, seed: int, hidden_size: int) -> Row:
    """Train with the defaults of `recurra train draw` for about so many seconds of processor time."""
    values: dict[str, Any] = {"hidden_size": hidden_size, "latent_size": CODE if codes else 0, "seed": seed}
    probe = DrawingModel(**values, max_steps=8, validate_every=1000)
    training, validation = probe.split(drawings)
    short = validation.take(range(1)) if validation is not None else None
    times = []
    # The first training also imports and compiles, and does not count.
    for steps, validated in ((2, short), (2, short), (22, short), (2, validation)):
        since = time.process_time()
        probe.set_params(max_steps=steps).fit(training, validation=validated, progress=False)
        times.append(time.process_time() - since)
    _, begun, longer, validating = times
    step = (longer - begun) / 20
    # What comes before the first step, and ten validations, take their part.
    steps = max(10, int((seconds - (begun - 2 * step) - 10 * (validating - begun)) / step))
    model = DrawingModel(**values, max_steps=steps, validate_every=max(1, steps // 10))
    since = time.process_time()
    model.fit(training, validation=validation, progress=False)
    spent = time.process_time() - since
    sums = surprise_of(model.fitted, drawings.part("test"))[MODEL].sum(axis=0)
    return Row(Surprise(*sums.tolist()), steps, spent)


def published(drawings: Drawings, codes: bool, seconds: float, seed: int, hidden_size: int) -> Row:
    """Train the published recipe for so many seconds of processor time."""
    learned = DrawingModel().learn(drawings, None)
    parts = [learned.encode(drawings.part(part))[0] for part in ("train", "validation", "test")]
    since = time.process_time()
    sums, steps, _ = train_published(parts[0], parts[1], parts[2], codes, seconds, seed)
    return Row(sums, steps, time.process_time() - since)


def show(name: str, row: Row, drawings: Drawings) -> None:
    """Print one training's figures on the test part; padding counts in the divisor of L_R alone."""
    test, longest = drawings.part("test"), int(drawings.part("train").lengths.max())
    points, sums = int(test.lengths.sum()), row.surprise
    values = (
        (sums.offset + sums.pen + sums.end + sums.divergence) / points,
        sums.offset / points,
        (sums.pen + sums.end) / points,
        (sums.offset + sums.pen) / (longest * len(test)),
        sums.divergence / len(test) / CODE,
    )
    print(f"{name:32}" + "".join(f"{v:11.4f}" for v in values) + f"{row.steps:11,}{row.seconds:11.0f}", flush=True)


class PlainLayerNormLSTM(nn.Module):
    """The equations of `recurra.cells.LayerNormLSTM` in a loop of torch, with the weights of a `Recurrent`."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: value.detach().clone() for name, value in layer.named_parameters()})

    def forward(self, x: Tensor) -> Tensor:
        w, size = self.weights, self.weights["weight_hh_l0"].shape[1]

        def normed(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
            return F.layer_norm(values.unflatten(-1, (4, size)), (size,)).flatten(-2) * scale + shift

        read = normed(F.linear(x, w["weight_ih_l0"]), w["norm_ih_l0"].flatten(), w["bias_ih_l0"])
        h = c = x.new_zeros(x.shape[0], size)
        outputs = []
        for step in read.unbind(1):
            recurrent = normed(F.linear(h, w["weight_hh_l0"]), w["norm_hh_l0"].flatten(), w["bias_hh_l0"])
            i, f, g, o = (step + recurrent).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, 1)


def time_steps() -> None:
    """Seconds of processor time of a forward and a backward pass, the median of five in turn."""
    torch.manual_seed(0)
    print(f"{'B x T x H':>16}{'recurra, s':>12}{'torch, s':>12}{'ratio':>8}")
    for batch, steps, hidden in ((100, 40, 512), (100, 125, 512), (100, 40, 256)):
        layer = Recurrent(LayerNormLSTM(), 5, hidden, batch_first=True)
        plain, x = PlainLayerNormLSTM(layer), torch.randn(batch, steps, 5)
        torch.testing.assert_close(layer(x)[0], plain(x), rtol=1e-3, atol=1e-4)
        times: dict[str, list[float]] = {"recurra": [], "torch": []}
        for _ in range(5):
            for name, run in (("recurra", layer), ("torch", plain)):
                since = time.process_time()
                output = run(x)
                (output[0] if isinstance(output, tuple) else output).sum().backward()
                times[name].append(time.process_time() - since)
        ours, theirs = median(times["recurra"]), median(times["torch"])
        print(f"{f'{batch} x {steps} x {hidden}':>16}{ours:12.3f}{theirs:12.3f}{theirs / ours:8.2f}", flush=True)


if __name__ == "__main__":
    main()
