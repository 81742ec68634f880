"""CMU AN4: trained on its training part alone, official test (130 utterances of 10 other speakers).

Eight speakers of the training part choose the best weights; settings were chosen on these too. The test set is read
after training. `--settings live` reads forward alone, with at most 0.3 s of look-ahead, and is tested as a stream too.
Figures: word and character error rates, the word error rate of the eight speakers, and the seconds of training.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterances import Utterances
from recurra.data.text.edit_distance import ErrorCounts, word_errors
from recurra.tasks.speech import SpeechRecognizer

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "an4"
VALIDATION = ("fjmd", "fkai", "flmm2", "fmjd", "fwxs", "mjdr", "mkdb", "mmap")
SHARED: dict[str, Any] = {
    "units": "subwords",
    "vocabulary_size": 180,
    "subsampling": 8,
    "bins": 40,
    "hidden_size": 192,
    "dropout": 0.3,
    "warp": 0.12,
    "batch_seconds": 20.0,
    "learning_rate": 0.0015,
    "schedule": "CosineAnnealingLR",
    "warmup_steps": 300,
    "averaging": 0.998,
    "weight_decay": 0.001,
    "validate_every": 1000,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "files": SHARED | {"epochs": 46.0},
    "live": SHARED | {"epochs": 46.0, "bidirectional": False, "look_ahead": 0.3},
}
MEASURES = ("WER", "CER", "valid. WER", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", choices=list(SETTINGS), default="files")
    parser.add_argument("--epochs", type=float, help="in place of those of the settings")
    parser.add_argument("--out", type=Path, help="folder that keeps each run; one that is there continues")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds an4\n")
    training, validation = split(read_utterances(DATA / "train.tsv"))
    settings = SETTINGS[options.settings] | ({"epochs": options.epochs} if options.epochs else {})
    print(f"{'seed':>6}  " + "  ".join(f"{name:>10}" for name in MEASURES))
    rows = []
    for seed in options.seeds:
        folder = None if options.out is None else options.out / f"{options.settings}-{seed}"
        recognizer = SpeechRecognizer(**settings, seed=seed)
        resume = folder is not None and (folder / "run.json").is_file()
        recognizer.fit(training, validation=validation, folder=folder, resume=resume)
        result = recognizer.training_result
        assert result is not None
        scores = recognizer.evaluate(DATA / "test.tsv").scores
        rows.append([100 * scores["WER"], 100 * scores["CER"], 100 * result.best_loss, result.seconds])
        show(str(seed), rows[-1])
        if options.settings == "live":
            print(f"        streamed in chunks: {100 * streamed(recognizer):.2f} WER")
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def split(data: Utterances) -> tuple[Utterances, Utterances]:
    """The recordings of the training part, and those of the eight speakers."""
    others = [item for item in data if item.speaker not in VALIDATION]
    chosen = [item for item in data if item.speaker in VALIDATION]
    return replace(data, items=tuple(others)), replace(data, items=tuple(chosen))


def streamed(recognizer: SpeechRecognizer) -> float:
    """The word error rate on the test set of what is written live."""
    test = recognizer.read(DATA / "test.tsv", None, None, True)
    written = [" ".join(segment.text for segment in segments) for segments in recognizer.transcribe(test).values]
    return sum((word_errors(*pair) for pair in zip(test.texts, written, strict=True)), ErrorCounts()).rate


def show(name: str, values: list[float]) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:10.2f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
