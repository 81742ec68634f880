"""Series of the UCR and UEA archives, classified with the default options: three seeds beside the baselines.

The sets are those that PyPI's aeon ships, each with its own training and test part. The defaults were chosen within
training parts; the test parts are read only after training.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import torch

from recurra.tasks.classify import Classifier

SETS = ("GunPoint", "ItalyPowerDemand", "PickupGestureWiimoteZ", "BasicMotions", "JapaneseVowels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with a folder for each set; aeon's by default")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    folder = options.data or shipped()
    if folder is None or not folder.is_dir():
        parser.exit(2, "the sets: not there; pip install aeon, or name their folder with --data\n")
    torch.set_num_threads(options.threads)
    for name in options.sets:
        scores = []
        for seed in options.seeds:
            started = time.process_time()
            classifier = Classifier(seed=seed).fit(folder / name / f"{name}_TRAIN.ts", progress=False)
            seconds = time.process_time() - started
            found = classifier.evaluate(folder / name / f"{name}_TEST.ts")
            scores.append(found.score)
            shown = ", ".join(f"{method} {100 * one['accuracy']:.1f}" for method, one in found.methods.items())
            print(f"{name} seed {seed}: {shown}; {seconds:.0f} s of the processor", flush=True)
        print(f"{name} mean: {100 * mean(scores):.1f}", flush=True)


def shipped() -> Path | None:
    """Where aeon keeps the files, which is not imported for it."""
    found = find_spec("aeon")
    return None if found is None or found.origin is None else Path(found.origin).parent / "datasets" / "data"


if __name__ == "__main__":
    main()
