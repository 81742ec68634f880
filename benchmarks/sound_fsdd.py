"""Free Spoken Digits: accuracy of the classifier of sounds on the official split, three seeds.

Trained on the recordings of index 5 and above of each digit and speaker, of which a tenth chooses the best weights and
the temperature; those of index 0 to 4 are read only after training. The settings are the defaults of `recurra train
sound`.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

import torch

from recurra import SoundClassifier

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "fsdd" / "recordings"
MEASURES = ("validation", "test", "nearest mean", "off by", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds fsdd\n")
    torch.set_num_threads(options.threads)
    print(f"{'seed':>6}  " + "  ".join(f"{name:>12}" for name in MEASURES))
    rows = []
    for seed in options.seeds:
        started = time.perf_counter()
        classifier = SoundClassifier(seed=seed).fit(*read(test=False), progress=False)
        seconds = time.perf_counter() - started
        assert classifier.training_result is not None
        evaluation = classifier.evaluate(*read(test=True))
        rows.append(
            [
                100 * (1 - classifier.training_result.best_loss),
                100 * evaluation.scores["accuracy"],
                100 * evaluation.baselines["nearest mean"]["accuracy"],
                100 * evaluation.facts["expected_calibration_error"]["with_temperature"],
                seconds,
            ]
        )
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def read(test: bool) -> tuple[list[Path], list[str]]:
    """The recordings of one part, and their digits; a name is `digit_speaker_index`."""
    paths = [path for path in sorted(DATA.glob("*.flac")) if (int(path.stem.split("_")[2]) < 5) == test]
    return paths, [path.stem.split("_")[0] for path in paths]


def show(name: str, row: list[float]) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:12.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
