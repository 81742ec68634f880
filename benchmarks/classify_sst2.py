"""Stanford Sentiment Treebank, binary: accuracy of the classifier, three seeds, by default without pretrained vectors.

Trained on the 6,920 sentences of `train.txt` (no phrases), the best weights and the temperature chosen on `dev.txt`;
`test.txt` is read only after training. The settings are the defaults of `recurra train classify`.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

import torch

from recurra.tasks.classify import Classifier

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "sst2"
MEASURES = ("dev", "test", "macro F1", "loss", "off by", "naive Bayes", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--vectors", help="file of pretrained word vectors, as word2vec or GloVe write them")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds sst2\n")
    torch.set_num_threads(options.threads)
    print(f"{'seed':>6}  " + "  ".join(f"{name:>11}" for name in MEASURES))
    rows = []
    for seed in options.seeds:
        started = time.perf_counter()
        classifier = Classifier(seed=seed, vectors=options.vectors)
        classifier.fit(*read("train"), validation=read("dev"), progress=False)
        seconds = time.perf_counter() - started
        assert classifier.training_result is not None
        found = classifier.evaluate(*read("test"))
        shares = (1 - classifier.training_result.best_loss, found.scores["accuracy"], found.scores["macro F1"])
        rows.append(
            [
                *(100 * share for share in shares),
                found.facts["loss_nats"],
                100 * found.facts["expected_calibration_error"]["with_temperature"],
                100 * found.baselines["naive Bayes"]["accuracy"],
                seconds,
            ]
        )
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def read(part: str) -> tuple[list[str], list[str]]:
    """Sentences and their labels, of lines `label sentence`."""
    lines = (DATA / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    labels, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    return list(texts), list(labels)


def show(name: str, row: list[float]) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:11.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
