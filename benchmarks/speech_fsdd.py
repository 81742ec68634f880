"""Free Spoken Digits as transcripts: word errors of recognisers on the official split, by CTC and by a transducer.

Recordings of index 0 to 4 of each speaker and digit test, read only after training; the last five of the others choose
the best weights, and settings were chosen on these. The transducer begins with the weights of CTC.
Figures: word error rates in percent, of the recordings that chose the weights and of those that test, and the seconds
of training.
"""

import argparse
import os
from collections import defaultdict
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from recurra.tasks.speech import SpeechRecognizer

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "fsdd" / "recordings"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NETWORK: dict[str, Any] = {
    "units": "words",
    "subsampling": 8,
    "bins": 40,
    "sample_rate": 8000,
    "hidden_size": 128,
    "num_layers": 2,
    "batch_seconds": 20.0,
    "learning_rate": 0.002,
    "max_steps": 1600,
    "validate_every": 100,
    "averaging": 0.99,
    "dropout": 0.2,
    "schedule": "CosineAnnealingLR",
}
TRANSDUCER: dict[str, Any] = {
    "output": "transducer",
    "prediction_size": 64,
    "joiner_size": 128,
    "learning_rate": 0.001,
    "max_steps": 800,
}
MEASURES = ("CTC valid.", "CTC test", "CTC s", "tr. valid.", "tr. test", "tr. s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds fsdd\n")
    training, validation, test = split(sorted(DATA.glob("*.flac")))
    print(f"{'seed':>6}  " + "  ".join(f"{name:>10}" for name in MEASURES))
    rows = []
    for seed in options.seeds:
        with TemporaryDirectory() as folder:
            ctc = SpeechRecognizer(**NETWORK, seed=seed)
            ctc.fit(*training, validation=validation, folder=folder)
            transducer = SpeechRecognizer(**NETWORK | TRANSDUCER, seed=seed)
            transducer.fit(*training, validation=validation, start_from=folder)
        rows.append([*measured(ctc, test), *measured(transducer, test)])
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def split(paths: list[Path]) -> tuple[tuple[list[Path], list[str]], ...]:
    """The recordings that train, choose the weights and test, with their texts; named `digit_speaker_index`."""
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in paths:
        digit, speaker, _ = path.stem.split("_")
        groups[digit, speaker].append(path)
    parts: tuple[list[Path], ...] = ([], [], [])
    for group in groups.values():
        group.sort(key=lambda path: int(path.stem.split("_")[2]))
        for part, chosen in zip(parts, (group[5:-5], group[-5:], group[:5]), strict=True):
            part.extend(chosen)
    return tuple((part, [DIGITS[int(path.stem[0])] for path in part]) for part in parts)


def measured(recognizer: SpeechRecognizer, test: tuple[list[Path], list[str]]) -> list[float]:
    assert recognizer.training_result is not None
    result = recognizer.training_result
    return [100 * result.best_loss, 100 * recognizer.evaluate(*test).scores["WER"], result.seconds]


def show(name: str, row: list[float]) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:10.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
