"""Handwriting that is made up: nats a point with the text and without it, on words that training did not have.

The letters of a text are random, and each text has a hand of its own (`_made_handwriting`). What is written, and the
window over it, are pictures in the folder of the run.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks._made_handwriting import write_handwriting
from recurra import DrawingModel
from recurra.tasks.draw.drawing_model import DrawingReading

_TRAINING, _TEST = 2000, 150  # texts
_READING = DrawingReading(epsilon=3.0)
_OPTIONS: dict[str, Any] = {
    "hidden_size": 96, "num_layers": 2, "mixtures": 10, "batch_size": 32, "validation_fraction": 0.03,
    "validate_every": 250,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1200, help="of each training")
    parser.add_argument("--windows", type=int, nargs="+", default=[10, 0], help="components of the window; 0: no text")
    parser.add_argument("--text", default="hello world", help="what is written, of the letters acdehilmnorstuw")
    parser.add_argument("--out", type=Path, default=Path("runs/handwriting"), help="folder of the runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    training, test = (options.out / f"{name}.ndjson" for name in ("training", "test"))
    write_handwriting(training, _TRAINING, 0)
    write_handwriting(test, _TEST, 1)
    print(f"{'':24}{'nats/point':>12}{'offset':>10}{'pen':>10}{'baseline':>10}{'seconds':>10}", flush=True)
    for window in options.windows:
        for seed in options.seeds:
            folder = options.out / f"window-{window}-seed-{seed}"
            model = DrawingModel(**_OPTIONS, window=window, seed=seed, max_steps=options.steps)
            since = time.process_time()
            model.fit(training, reading=_READING, folder=folder, progress=False)
            seconds = time.process_time() - since
            evaluation = model.evaluate(test)
            evaluation.write(folder / "evaluation")
            (baseline,) = evaluation.baselines.values()
            scores = [evaluation.scores[name] for name in ("nats/point", "offset", "pen")]
            name = f"window {window}, seed {seed}"
            print(f"{name:24}{scores[0]:12.4f}" + "".join(f"{one:10.4f}" for one in scores[1:])
                  + f"{baseline['nats/point']:10.4f}{seconds:10.0f}", flush=True)  # fmt: skip
            if window:
                model.generation(text=options.text, count=6, bias=2.0, seed=seed).write(folder / "written.png")


if __name__ == "__main__":
    main()
