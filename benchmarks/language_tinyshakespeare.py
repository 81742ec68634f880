"""Tiny Shakespeare by characters: the first 90 % to train, the last 10 % to validate; target: 1.55 nats a character.

`SETTINGS` were chosen inside the first 90 % (`--inner`: of that, the first nine tenths to train, the last to
validate). The last 10 % choose nothing but which weights are kept, of those at `VALIDATIONS` steps. The figure is of
all of it read as one stream, the state carried from an empty one.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

import torch

from recurra.tasks.language import LanguageModel, Sampling
from recurra.training import read_log

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "tinyshakespeare"
VALIDATIONS = 10
SETTINGS = {"hidden_size": 512, "embedding_size": 64, "dropout": 0.4, "max_steps": 1700}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--out", type=Path, default=Path("runs/tinyshakespeare"), help="a run folder for each seed in it"
    )
    parser.add_argument("--max-steps", type=int, default=SETTINGS["max_steps"])
    parser.add_argument("--inner", action="store_true", help="train and validate inside the first 90 %%")
    parser.add_argument("--resume", action="store_true", help="go on with the runs in --out")
    options = parser.parse_args()
    path = DATA / "input.txt"
    if not path.is_file():
        parser.exit(2, f"{path}: not there; set RECURRA_DATA to the folder that holds tinyshakespeare\n")
    text = path.read_text(encoding="utf-8")
    text = text[: int(0.9 * len(text))] if options.inner else text
    end = int(0.9 * len(text))
    texts = {"train": text[:end], "validation": text[end:]}
    print(f"{len(texts['train']):,} characters to train, {len(texts['validation']):,} to validate; {SETTINGS}")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} before")
    rows = []
    for seed in options.seeds:
        settings = {**SETTINGS, "max_steps": options.max_steps, "seed": seed}
        settings["validate_every"] = -(-options.max_steps // VALIDATIONS)
        folder = options.out / f"{'inner-' if options.inner else ''}{seed}"
        model = LanguageModel(**settings).fit(texts, folder=folder, resume=options.resume)
        curve = [
            (int(row["step"]), float(row["validation_loss"]))
            for row in read_log(folder / "log.csv")
            if row["validation_loss"]
        ]
        print("validation by step: " + ", ".join(f"{step}: {loss:.4f}" for step, loss in curve))
        started = time.perf_counter()
        found = model.evaluate()
        for method, measures in found.methods.items():
            print(f"seed {seed}, {method}: " + ", ".join(f"{value:.4f} {name}" for name, value in measures.items()))
        result = model.training_result
        assert result is not None
        print(
            f"trained {result.steps} steps in {result.seconds / 60:.1f} minutes, "
            f"{1000 * result.seconds / result.steps:.0f} ms a step with validation; evaluated in "
            f"{time.perf_counter() - started:.0f} s"
        )
        rows.append((found.scores["nats/character"], result.seconds / 60))
        print(f"\n{model.generate('ROMEO:', length=600, sampling=Sampling(temperature=0.8), seed=seed)}\n", flush=True)
    nats, minutes = (mean(column) for column in zip(*rows, strict=True))
    print(f"mean of {len(rows)}: {nats:.4f} nats a character after {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
