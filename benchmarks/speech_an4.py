"""CMU AN4: trained on its training part alone, official test (130 utterances of 10 other speakers).

A first network is trained on the recordings; a second one starts from its weights, and is also trained on splices, for
which the first says where the words are. Eight speakers of the training part choose the best weights; settings were
chosen on these too. The test set is read after training, without a language model and with a 4-gram of the texts of
training over the words of AN4's dictionary. `--settings live` reads forward alone, with at most 0.3 s of look-ahead,
and is tested as a stream too. `--settings transducer` and `live-transducer` train a third network, a transducer, that
starts from the second one.
Figures: word and character error rates, the word error rate of the eight speakers, and the seconds of training.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterances import Utterances
from recurra.data.text.arpa import write_arpa
from recurra.data.text.edit_distance import ErrorCounts, word_errors
from recurra.data.text.kneser_ney import estimate_ngrams
from recurra.tasks.speech import SpeechRecognizer
from recurra.tasks.speech.recognizer import Search

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "an4"
VALIDATION = ("fjmd", "fkai", "flmm2", "fmjd", "fwxs", "mjdr", "mkdb", "mmap")
SHARED: dict[str, Any] = {
    "bins": 40,
    "hidden_size": 192,
    "warp": 0.1,
    "batch_seconds": 20.0,
    "schedule": "CosineAnnealingLR",
    "warmup_steps": 100,
    "averaging": 0.995,
    "weight_decay": 0.01,
    "max_grad_norm": 5.0,
}
FIRST = SHARED | {
    "dropout": 0.1,
    "input_dropout": 0.0,
    "learning_rate": 0.0015,
    "epochs": 35.0,
    "validate_every": 640,
}
SECOND = SHARED | {
    "dropout": 0.2,
    "input_dropout": 0.1,
    "plain_steps": 0,
    "splices": 1.5,
    "learning_rate": 0.001,
    "max_steps": 3600,
    "validate_every": 400,
}
LIVE: dict[str, Any] = {"bidirectional": False, "look_ahead": 0.3}
TRANSDUCER: dict[str, Any] = SECOND | {"output": "transducer", "max_steps": 1600}
FILES = {"files-{seed}-first": FIRST, "files-{seed}": SECOND}
STREAMS = {
    "live-{seed}-first": FIRST | LIVE | {"epochs": 0.0, "max_steps": 1500, "validate_every": 500},
    "live-{seed}": SECOND | LIVE | {"learning_rate": 0.0015, "max_steps": 6000},
}
# The networks of each by the names of their folders; one starts from the one before, and is aligned by the first.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "files": FILES,
    "live": STREAMS,
    "transducer": FILES | {"transducer-{seed}": TRANSDUCER},
    "live-transducer": STREAMS | {"live-transducer-{seed}": TRANSDUCER | LIVE},
}
WITH_MODEL: dict[str, Any] = {"lm_weight": 0.4, "word_bonus": 2.0}
MEASURES = ("WER", "CER", "LM WER", "LM CER", "valid. WER", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", choices=list(SETTINGS), default="files")
    parser.add_argument("--out", type=Path, help="folder that keeps each run; one that is there continues")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds an4\n")
    print(f"{'seed':>6}  " + "  ".join(f"{name:>10}" for name in MEASURES))
    with TemporaryDirectory() as aside:
        out = options.out or Path(aside)
        rows = [measured(seed, options.settings, out) for seed in options.seeds]
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def measured(seed: int, settings: str, out: Path) -> list[float]:
    """Train the networks of a seed, in folders of `out`, and test the last one: the figures of `MEASURES`."""
    training, validation = split(read_utterances(DATA / "train.tsv"))
    folders = [out / name.format(seed=seed) for name in SETTINGS[settings]]
    networks = []
    for k, (folder, options) in enumerate(zip(folders, SETTINGS[settings].values(), strict=True)):
        network = SpeechRecognizer(**options, align_by=str(folders[0]) if k else None, seed=seed)
        resume = (folder / "run.json").is_file()
        start_from = folders[k - 1] if k and not resume else None
        network.fit(training, validation=validation, folder=folder, resume=resume, start_from=start_from)
        networks.append(network)
    recognizer, results = networks[-1], [network.training_result for network in networks if network.training_result]
    model = out / "an4.arpa"
    # A second pronunciation of a word has its number in brackets.
    lines = (DATA / "an4.dic").read_text(encoding="utf-8").split("\n")
    words = {line.split()[0].partition("(")[0].lower() for line in lines if line.strip()}
    write_arpa(estimate_ngrams([text.split() for text in training.texts], 4, sorted(words)), model)
    test = DATA / "test.tsv"
    scores = recognizer.evaluate(test).scores
    # The model rescores what a transducer's beam has written, which may be no text of known words alone.
    search = Search(lm=str(model), closed=recognizer.output == "ctc", **WITH_MODEL)
    fused = recognizer.evaluate(test, search=search).scores
    errors = (scores["WER"], scores["CER"], fused["WER"], fused["CER"], results[-1].best_loss)
    row = [*(100 * value for value in errors), sum(result.seconds for result in results)]
    show(str(seed), row)
    if not recognizer.bidirectional:
        print(f"        streamed in chunks: {100 * streamed(recognizer):.2f} WER")
    return row


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
