"""Multi30k, German to English: trained on the 29,000 pairs only, best weights by the validation set, three seeds.

`--settings default` and `thorough` are those of `recurra train translate` and of its `--thorough`; `full`, as in
`SETTINGS`, is a larger network that trains for an hour. The test set, flickr 2016, is read only after training.
Figures: sacreBLEU (cased, detokenised, its default tokeniser) with beam 5 and greedy, chrF2, and the seconds that
training and translating the sentences took.
"""

import argparse
import os
from pathlib import Path
from statistics import mean
from typing import Any

from recurra.tasks.translate import Search, Translator

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "multi30k"
SETTINGS: dict[str, dict[str, Any]] = {
    "full": {
        "hidden_size": 384,
        "embedding_size": 256,
        "attention": "additive",
        "input_feeding": True,
        "dropout": 0.3,
        "batch_tokens": 1600,
        "learning_rate": 0.002,
        "max_steps": 5000,
    },
    "default": {},
    "thorough": {"thorough": True},
}
MEASURES = ("BLEU", "greedy BLEU", "chrF2", "valid. loss", "training s", "beam 5 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", choices=list(SETTINGS), default="full")
    parser.add_argument("--max-steps", type=int, help="in place of those of the settings")
    parser.add_argument("--out", type=Path, help="folder that keeps each run; one that is there goes on where it was")
    parser.add_argument("--validate", action="store_true", help="score the validation set instead of the test set")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds multi30k\n")
    test = pair("val" if options.validate else "test_2016_flickr")
    settings = SETTINGS[options.settings]
    if options.max_steps:
        settings = settings | {"thorough": False, "max_steps": options.max_steps}
    print(f"{'seed':>14}  " + "  ".join(f"{name:>11}" for name in MEASURES))
    rows, translators = [], []
    for seed in options.seeds:
        folder = None if options.out is None else options.out / f"seed-{seed}"
        translator = Translator(**settings, seed=seed)
        resume = folder is not None and (folder / "run.json").is_file()
        translator.fit(pair("train"), validation=pair("val"), folder=folder, resume=resume)
        result = translator.training_result
        assert result is not None
        beam, greedy = translator.evaluate(test), translator.evaluate(test, search=Search(beam_size=1))
        rows.append(
            [
                beam.scores["BLEU"],
                greedy.scores["BLEU"],
                beam.scores["chrF2"],
                result.best_loss,
                result.seconds,
                beam.facts["seconds"],
            ]
        )
        show(str(seed), rows[-1])
        translators.append(translator)
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    together = translators[0].evaluate(test, ensemble=translators[1:])
    blank, scores, copy = float("nan"), together.scores, together.baselines["copy the source"]
    show("ensemble", [scores["BLEU"], blank, scores["chrF2"], blank, blank, together.facts["seconds"]])
    show("copy", [copy["BLEU"], blank, copy["chrF2"], blank, blank, blank])
    print("\n".join(together.notes))


def pair(name: str) -> tuple[Path, Path]:
    return DATA / f"{name}.de.gz", DATA / f"{name}.en.gz"


def show(name: str, values: list[float]) -> None:
    print(f"{name:>14}  " + "  ".join(f"{value:11.2f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
