"""Drawings of sheep and characters: nats a point beside the recipe of sketch-rnn, run for the same processor time.

Both are chosen by the validation part and scored on the test part, once. Processor time is what is compared, so that
other work on the machine makes neither better. A command that was stopped is given again, and continues. The time of a
step is beside the same network in a loop of torch.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._published_sketch_rnn import CODE, Surprise, train_published
from recurra import DrawingModel, Recurrent
from recurra.cells import LayerNormLSTM
from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.read import read_drawings
from recurra.files import write_text
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
    parser.add_argument(
        "--out", type=Path, default=Path("runs/draw_sheep"), help="folder; what it has is not run again"
    )
    parser.add_argument("--step", action="store_true", help="only the time of a step")
    parser.add_argument("--stability", type=int, default=0, metavar="STEPS", help="only so many steps of tiny networks")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.step:
        time_steps()
        return
    for name in options.files:
        if not FILES[name].is_file():
            parser.exit(2, f"{FILES[name]}: not there; set RECURRA_DATA to the folder that holds it\n")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.stability:
        train_long(options.stability, options.out)
        return
    columns = ("nats/point", "offset", "pen", "L_R", "L_KL", "steps", "seconds")
    print(f"{'':32}" + "".join(f"{column:>11}" for column in columns), flush=True)
    for name in options.files:
        drawings = read_drawings(FILES[name])
        for kind in options.kinds:
            for seed in options.seeds:
                for method in options.methods:
                    run = recurra if method == "recurra" else published
                    size = f"-{options.hidden_size}" if method == "recurra" else ""
                    folder = options.out / f"{name}-{kind}-{seed}-{method}{size}-{options.seconds:g}s"
                    row = _resumed(folder, partial(run, drawings, kind == "codes", options.seconds, seed,
                                                   options.hidden_size))  # fmt: skip
                    show(f"{name}, {kind}, seed {seed}, {method}", row, drawings)


def _resumed(folder: Path, run: Callable[[Path], Row]) -> Row:
    """The row of a folder, or what `run` measures, which continues what the folder has of it."""
    file = folder / "row.json"
    if file.is_file():
        values = json.loads(file.read_text(encoding="utf-8"))
        return Row(**{**values, "surprise": Surprise(**values["surprise"])})
    folder.mkdir(exist_ok=True)
    row = run(folder)
    write_text(file, json.dumps(asdict(row)) + "\n")
    return row


def recurra(drawings: Drawings, codes: bool, seconds: float, seed: int, hidden_size: int, folder: Path) -> Row:
    """Train with the defaults of `recurra train draw` for about so many seconds of processor time."""
    values: dict[str, Any] = {"hidden_size": hidden_size, "latent_size": CODE if codes else 0, "seed": seed}
    training, validation = DrawingModel(**values).split(drawings)
    plan = folder / "plan.json"
    if not plan.is_file():
        steps = _steps_in(values, training, validation, seconds)
        write_text(plan, json.dumps({"steps": steps, "spent": 0.0}) + "\n")
    planned = json.loads(plan.read_text(encoding="utf-8"))
    steps, run = planned["steps"], folder / "run"
    model = DrawingModel(**values, max_steps=steps, validate_every=max(1, steps // 10))
    since = time.process_time()
    try:
        model.fit(training, validation=validation, folder=run, resume=run.is_dir(), progress=False)
    finally:
        planned["spent"] += time.process_time() - since
        write_text(plan, json.dumps(planned) + "\n")
    sums = surprise_of(model.fitted, drawings.part("test"))[MODEL].sum(axis=0)
    return Row(Surprise(*sums.tolist()), steps, planned["spent"])


def _steps_in(values: dict[str, Any], training: Drawings, validation: Drawings | None, seconds: float) -> int:
    """How many steps, with ten validations, a training makes in so many seconds of processor time."""
    probe = DrawingModel(**values, max_steps=8, validate_every=1000)
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
    return max(10, int((seconds - (begun - 2 * step) - 10 * (validating - begun)) / step))


def published(drawings: Drawings, codes: bool, seconds: float, seed: int, hidden_size: int, folder: Path) -> Row:
    """Train the published recipe for so many seconds of processor time."""
    learned = DrawingModel().learn(drawings, None)
    parts = [learned.encode(drawings.part(part)).strokes for part in ("train", "validation", "test")]
    sums, steps, _ = train_published(parts[0], parts[1], parts[2], codes, seconds, seed, folder / "state.pt")
    return Row(sums, steps, seconds)


def train_long(steps: int, out: Path) -> None:
    """Train tiny networks for many steps on drawings of very unlike sizes, and say whether any step was not finite.

    Each file's drawings as they are, some as large as a thousand of them, some as small as a thousandth, dots that lie
    on each other, and a line of 250 points; the learning rate does not fall.
    """
    generator = np.random.default_rng(0)
    read = [read_drawings(file).part("train").take(range(200)) for file in FILES.values()]
    strokes = [one for drawings in read for one in drawings.strokes]
    strokes += [(one * [size, size, 1]).astype(np.float32) for one in strokes[::40] for size in (1e3, 1e-3)]
    strokes += [np.tile(np.array([0, 0, 1], dtype=np.float32), (count, 1)) for count in (1, 5, 40)]
    strokes.append(np.column_stack([generator.normal(0, 20, (250, 2)), np.zeros(250)]).astype(np.float32))
    written = [(one, "".join(generator.choice(list("abc"), max(1, len(one) // 8)))) for one in strokes]
    tiny: dict[str, Any] = {
        "hidden_size": 8, "mixtures": 5, "batch_size": 4, "validation_fraction": 0.0, "schedule": "constant",
        "max_skipped": 100, "max_steps": steps, "validate_every": 500,
    }  # fmt: skip
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "plain": (strokes, {}),
        "codes": (strokes, {"latent_size": 8, "encoder_size": 8}),
        "handwriting": (written, {"window": 3}),
    }
    print(f"{'':16}{'steps':>10}{'not finite':>12}{'weights':>10}{'nats/point':>12}", flush=True)
    for name, (data, options) in kinds.items():
        folder = out / f"stability-{name}"
        model = DrawingModel(**tiny, **options)
        model.fit(data, folder=folder, resume=folder.is_dir(), progress=False)
        result = model.training_result
        assert result is not None
        finite = all(bool(weight.isfinite().all()) for weight in model.fitted.network.parameters())
        score = model.evaluate(data).scores["nats/point"]
        print(f"{name:16}{result.steps:10,}{result.skipped:12,}{'finite' if finite else 'not':>10}{score:12.4f}",
              flush=True)  # fmt: skip


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
