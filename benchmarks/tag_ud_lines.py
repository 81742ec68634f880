"""Universal Dependencies English LinES: UPOS accuracy of the default tagger, three seeds, and its speed.

Trained on `train.conllu`, the best weights chosen on `dev.conllu`; `test.conllu` is read only after training. No
pretrained vectors. Speed is of tagging the test file, read before, with confidence, as `Tagger.predict` does it.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

import torch

from recurra.data.text.conll import read_conll
from recurra.tasks.tag import Tagger

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ud_lines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of training")
    parser.add_argument("--tagging-threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5, help="times the test file is tagged; the median is told")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds ud_lines\n")
    test = read_conll(DATA / "test.conllu")
    words = [sentence.words for sentence in test.sentences]
    print(f"{'seed':>8}  {'dev':>6}  {'test':>6}  {'unknown words':>13}  {'training s':>10}  {'words/s':>8}")
    rows, baseline = [], 0.0
    for seed in options.seeds:
        torch.set_num_threads(options.threads)
        started = time.perf_counter()
        tagger = Tagger(seed=seed).fit(DATA / "train.conllu", validation=DATA / "dev.conllu", progress=False)
        seconds = time.perf_counter() - started
        assert tagger.training_result is not None
        evaluation = tagger.evaluate(DATA / "test.conllu")
        baseline = next(iter(evaluation.baselines.values()))["accuracy"]
        torch.set_num_threads(options.tagging_threads)
        speed = tagging_speed(tagger, words, options.repeats)
        shares = (1 - tagger.training_result.best_loss, evaluation.score, evaluation.facts["unknown_accuracy"])
        rows.append([*(100 * share for share in shares), seconds, speed])
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    print(f"the most frequent tag of each word: {100 * baseline:.2f}")


def tagging_speed(tagger: Tagger, sentences: list[tuple[str, ...]], repeats: int) -> float:
    """Words a second, the median of some runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        tagger.predict(sentences)
        times.append(time.perf_counter() - started)
    return sum(map(len, sentences)) / sorted(times)[repeats // 2]


def show(name: str, row: list[float]) -> None:
    dev, test, unknown, seconds, speed = row
    print(f"{name:>8}  {dev:6.2f}  {test:6.2f}  {unknown:13.2f}  {seconds:10.0f}  {speed:8.0f}", flush=True)


if __name__ == "__main__":
    main()
