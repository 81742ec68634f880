"""Flickr8k, the official split: captions by soft attention over frozen features of EfficientNet-Lite0, three seeds.

Training reads the 6,000 training images. The 1,000 validation images choose the best weights and the length penalty of
the beam, for each seed; the 1,000 test images are read only after that. The features of all 8,000 are computed once and
cached (about eight minutes on a free core, a gigabyte). Figures are of captions that the network wrote free-running,
against five references each, in words of lower case without punctuation: BLEU-1 and BLEU-4 with a beam of 3 and greedy,
CIDEr-D, ROUGE-L, the percentage of captions copied from training, and the seconds of training. Training computes in
bfloat16, which a processor without instructions for it does slowly: `--precision float32` is for those. `--out` keeps
each run; the same command resumes it. `--self-critical` trains each run further by CIDEr-D, as a second row. `--few 50`
takes 50 images of each part, to check that all of this runs.
"""

import argparse
import os
from pathlib import Path
from statistics import mean
from typing import Any

from recurra.data.image.caption_files import read_captions
from recurra.data.image.captioned_images import CaptionedImages
from recurra.tasks.caption import Captioner, CaptionReading, CaptionSearch
from recurra.training.settings import PRECISIONS

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
SELF_CRITICAL: dict[str, Any] = {
    "self_critical": True,
    "label_smoothing": 0.0,
    "dropout": 0.1,
    "learning_rate": 1e-4,
    "max_steps": 600,
    "validate_every": 150,
}
PENALTIES = (0.0, 0.5, 1.0, 1.5)
MEASURES = ("BLEU-1", "BLEU-4", "greedy BLEU-4", "CIDEr-D", "ROUGE-L", "copied %", "valid. loss", "training s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--attention", choices=("soft", "none"), default="soft")
    parser.add_argument("--precision", choices=PRECISIONS, default=SETTINGS["precision"])
    parser.add_argument("--max-steps", type=int, help="in place of those of the settings")
    parser.add_argument("--few", type=int, help="images of each part, in place of all")
    parser.add_argument("--cache", help="folder of the features; by default the user's cache folder")
    parser.add_argument("--out", type=Path, help="folder that keeps each run; one that is there is resumed")
    parser.add_argument("--self-critical", action="store_true", help="also a second stage; needs --out")
    parser.add_argument("--validate", action="store_true", help="score the validation images, not the test images")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds flickr8k\n")
    if options.self_critical and options.out is None:
        parser.error("--self-critical starts from the runs in a folder: name it with --out")
    images = chosen(read_captions(DATA / "captions.jsonl"), options.few)
    reading = CaptionReading(feature_cache=options.cache, part="validation" if options.validate else "test")
    settings = SETTINGS | {"attention": options.attention, "precision": options.precision}
    changed = {"max_steps": options.max_steps} if options.max_steps else {}
    print(f"{'seed':>24}  " + "  ".join(f"{name:>13}" for name in MEASURES))
    stages = {"": settings | changed}
    if options.self_critical:
        stages["self-critical"] = settings | SELF_CRITICAL | changed
    captioners: dict[str, list[Captioner]] = {stage: [] for stage in stages}
    searches: dict[str, list[CaptionSearch]] = {stage: [] for stage in stages}
    rows: dict[str, list[list[float]]] = {stage: [] for stage in stages}
    for seed in options.seeds:
        first = None if options.out is None else options.out / f"{options.attention}-{seed}"
        for stage, values in stages.items():
            folder = first if not stage or first is None else first.with_name(f"{first.name}-{stage}")
            captioner = Captioner(**values, seed=seed)
            resume = folder is not None and (folder / "run.json").is_file()
            start_from = first if stage and not resume else None
            captioner.fit(images, reading=reading, folder=folder, resume=resume, start_from=start_from)
            trained = captioner.training_result
            assert trained is not None
            search = best_search(captioner, images, options.cache)
            beam = captioner.evaluate(images, search=search)
            greedy = captioner.evaluate(images, search=CaptionSearch(beam_size=1)).scores["BLEU-4"]
            copied = 100 * float(beam.facts["copied"])
            rows[stage].append(figures(beam.scores, greedy, copied, trained.best_loss, trained.seconds))
            show(f"seed {seed} {stage}", rows[stage][-1])
            captioners[stage].append(captioner)
            searches[stage].append(search)
    blank = float("nan")
    results = {
        stage: own[0].evaluate(images, search=searches[stage][0], ensemble=tuple(own[1:]))
        for stage, own in captioners.items()
    }
    for stage, result in results.items():
        show(f"mean {stage}", [mean(column) for column in zip(*rows[stage], strict=True)])
        if len(options.seeds) > 1:
            copied = 100 * float(result.facts["copied"])
            show(f"ensemble {stage}", figures(result.scores, blank, copied, blank, blank))
    for name, scores in results[""].baselines.items():
        show(name, figures(scores, blank, 100.0, blank, blank))
    print("\n".join(results[""].notes))


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
