"""Flickr8k, the official split: captions by soft attention over frozen features of EfficientNet-Lite0, three seeds.

Training reads the 6,000 training images. The 1,000 validation images choose the best weights and the length penalty of
the beam, for each seed; the 1,000 test images are read only after that. The features of all 8,000 are computed once and
cached (about eight minutes on a free core, a gigabyte). Figures are of captions that the network wrote free-running,
against five references each, in words of lower case without punctuation: BLEU-1 and BLEU-4 with a beam of 3 and greedy,
CIDEr-D, ROUGE-L, the percentage of captions copied from training, and the seconds of training. Training computes in
bfloat16, which a processor without instructions for it does slowly. `--out` keeps each run; the same command resumes
it. `--few 50` takes 50 images of each part, to check that all of this runs.
"""

import argparse
import os
from pathlib import Path
from statistics import mean
from typing import Any

from recurra.data.image.caption_files import read_captions
from recurra.data.image.captioned_images import CaptionedImages
from recurra.tasks.caption import Captioner, CaptionReading, CaptionSearch

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "flickr8k"
SETTINGS: dict[str, Any] = {
    "hidden_size": 512,
    "embedding_size": 256,
    "feature_size": 512,
    "attention_size": 256,
    "dropout": 0.4,
    "label_smoothing": 0.1,
    "min_count": 5,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "averaging": 0.995,
    "precision": "bfloat16",
    "max_steps": 4200,
    "validate_every": 700,
}
PENALTIES = (0.0, 0.5, 1.0, 1.5)
MEASURES = ("BLEU-1", "BLEU-4", "greedy BLEU-4", "CIDEr-D", "ROUGE-L", "copied %", "valid. loss", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--attention", choices=("soft", "none"), default="soft")
    parser.add_argument("--max-steps", type=int, help="in place of those of the settings")
    parser.add_argument("--few", type=int, help="images of each part, in place of all")
    parser.add_argument("--cache", help="folder of the features; by default the user's cache folder")
    parser.add_argument("--out", type=Path, help="folder that keeps each run; one that is there is resumed")
    parser.add_argument("--validate", action="store_true", help="score the validation images, not the test images")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds flickr8k\n")
    images = chosen(read_captions(DATA / "captions.jsonl"), options.few)
    reading = CaptionReading(feature_cache=options.cache, part="validation" if options.validate else "test")
    settings = SETTINGS | {"attention": options.attention}
    if options.max_steps:
        settings |= {"max_steps": options.max_steps}
    print(f"{'seed':>24}  " + "  ".join(f"{name:>13}" for name in MEASURES))
    rows, captioners, searches = [], [], []
    for seed in options.seeds:
        folder = None if options.out is None else options.out / f"{options.attention}-{seed}"
        captioner = Captioner(**settings, seed=seed)
        resume = folder is not None and (folder / "run.json").is_file()
        captioner.fit(images, reading=reading, folder=folder, resume=resume)
        result = captioner.training_result
        assert result is not None
        searches.append(best_search(captioner, images, options.cache))
        beam = captioner.evaluate(images, search=searches[-1])
        greedy = captioner.evaluate(images, search=CaptionSearch(beam_size=1))
        copied = 100 * float(beam.facts["copied"])
        rows.append(figures(beam.scores, greedy.scores["BLEU-4"], copied, result.best_loss, result.seconds))
        show(f"seed {seed}", rows[-1])
        captioners.append(captioner)
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    blank = float("nan")
    together = captioners[0].evaluate(images, search=searches[0], ensemble=tuple(captioners[1:]))
    if len(captioners) > 1:
        show("ensemble", figures(together.scores, blank, 100 * float(together.facts["copied"]), blank, blank))
    for name, scores in together.baselines.items():
        show(name, figures(scores, blank, 100.0, blank, blank))
    print("\n".join(together.notes))


def chosen(images: CaptionedImages, few: int | None) -> CaptionedImages:
    """All images, or the first few of each part."""
    if few is None:
        return images
    rows = [
        row
        for part in ("train", "validation", "test")
        for row in [row for row, image in enumerate(images) if image.part == part][:few]
    ]
    return images.take(rows)


def best_search(captioner: Captioner, images: CaptionedImages, cache: str | None) -> CaptionSearch:
    """The beam search whose length penalty has the highest BLEU-4 on the validation images."""
    reading = CaptionReading(feature_cache=cache, part="validation")
    scores: dict[float, float] = {}
    for penalty in PENALTIES:
        evaluation = captioner.evaluate(images, search=CaptionSearch(length_penalty=penalty), reading=reading)
        scores[penalty] = evaluation.scores["BLEU-4"]
        print(f"length penalty {penalty}: BLEU-4 {scores[penalty]:.2f} on the validation images", flush=True)
    return CaptionSearch(length_penalty=max(scores, key=scores.__getitem__))


def figures(scores: Any, greedy: float, copied: float, loss: float, seconds: float) -> list[float]:
    """The figures of a row, in the order of `MEASURES`."""
    return [
        scores["BLEU-1"], scores["BLEU-4"], greedy, scores["CIDEr-D"], scores["ROUGE-L"], copied, loss, seconds
    ]  # fmt: skip


def show(name: str, values: list[float]) -> None:
    print(f"{name:>24}  " + "  ".join(f"{value:13.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
