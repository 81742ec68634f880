"""WikiGold: entity F1 of the default tagger without pretrained vectors, three seeds.

The split by document made for this project. Trained on `train.conll`, the best weights chosen on `dev.conll`;
`test.conll` is read only after training. There is no published figure for this split.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

import torch

from recurra.tasks.tag import Tagger

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "wikigold"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds wikigold\n")
    torch.set_num_threads(options.threads)
    print(f"{'seed':>8}  {'dev F1':>6}  {'precision':>9}  {'recall':>6}  {'F1':>6}  {'training s':>10}")
    rows, baseline = [], 0.0
    for seed in options.seeds:
        started = time.perf_counter()
        tagger = Tagger(seed=seed).fit(DATA / "train.conll", validation=DATA / "dev.conll", progress=False)
        seconds = time.perf_counter() - started
        assert tagger.training_result is not None
        evaluation = tagger.evaluate(DATA / "test.conll")
        found, baseline = evaluation.scores, next(iter(evaluation.baselines.values()))["F1"]
        shares = (1 - tagger.training_result.best_loss, found["precision"], found["recall"], found["F1"])
        rows.append([*(100 * share for share in shares), seconds])
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    print(f"the most frequent tag of each word: F1 {100 * baseline:.2f}")


def show(name: str, row: list[float]) -> None:
    dev, precision, recall, f1, seconds = row
    print(f"{name:>8}  {dev:6.2f}  {precision:9.2f}  {recall:6.2f}  {f1:6.2f}  {seconds:10.0f}", flush=True)


if __name__ == "__main__":
    main()
