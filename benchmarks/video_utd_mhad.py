"""UTD-MHAD: accuracy of the classifier of videos, subjects 1, 3, 5, 7 to train and 2, 4, 6, 8 to test, three seeds.

Settings are the defaults of `recurra train video`, chosen by training on subjects 1, 3 and 5 and looking at subject 7
(`--choose`), or by leaving out each of the four in turn (`--choose 1 3 5 7`). The figures are of networks trained on
all four, without validation data: the last weights count. The clips of the other subjects are read only after training.
"""

import argparse
import csv
import os
import time
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from recurra import VideoClassifier
from recurra.data.video.clips import Clip, Clips, LabelSpan, form_in_words
from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.video_files import check_video
from recurra.option_text import value_of

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "utd_mhad"
RATE = 30.0
TRAINING = ("1", "3", "5", "7")
CHOOSING = ("7",)
JOINED = 8
SEGMENT_MEASURES = ("frames", "F1@10", "F1@25", "F1@50", "nearest mean")
MEASURES = ("accuracy", "nearest mean", "off by", "training s", "processor s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sensors", action="store_true", help="read the inertial sensors too")
    parser.add_argument(
        "--by-frame",
        action="store_true",
        help=f"label every frame of recordings, each {JOINED} clips of a subject one after the other in a random order",
    )
    parser.add_argument("--depth", action="store_true", help="read the depth videos instead of skeletons")
    parser.add_argument(
        "--choose",
        nargs="*",
        choices=TRAINING,
        metavar="SUBJECT",
        help="score these subjects alone, in turn, by networks trained on the others of 1, 3, 5, 7; by default 7",
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="options of the classifier")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds utd_mhad\n")
    torch.set_num_threads(options.threads)
    clips = read_depth() if options.depth else read(options.sensors)
    measures = MEASURES
    if options.by_frame:
        if options.depth or options.sensors:
            parser.error("--by-frame is of skeletons")
        clips, measures = joined(clips), (*SEGMENT_MEASURES, *MEASURES[-2:])
    kind = "depth videos" if options.depth else f"skeletons of {form_in_words(clips.form)}"
    print(f"{len(clips)} clips, {kind}")
    print(f"{'seed':>6}  " + "  ".join(f"{name:>12}" for name in measures))
    tested = [{one.subject for one in clips} - set(TRAINING)]
    if options.choose is not None:
        tested = [{subject} for subject in options.choose or CHOOSING]
    rows = []
    for seed in options.seeds:
        for held in tested:
            values = {"seed": seed, "validation_fraction": 0.0, "by_frame": options.by_frame}
            values |= dict(map(setting, options.set))
            rows.append(measured(values, *(whose(clips, who) for who in (set(TRAINING) - held, held))))
            show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def whose(clips: Clips, subjects: set[str | None]) -> Clips:
    return clips.take([k for k, one in enumerate(clips) if one.subject in subjects])


def measured(values: dict[str, Any], training: Clips, test: Clips) -> list[float]:
    """The figures of one training, in the order of `MEASURES`, or of every frame in that of `SEGMENT_MEASURES`."""
    started, processor = time.perf_counter(), time.process_time()
    classifier = VideoClassifier(**values).fit(training, progress=False)
    seconds = time.perf_counter() - started, time.process_time() - processor
    evaluation = classifier.evaluate(test)
    if classifier.by_frame:
        names = ("accuracy", "F1@10", "F1@25", "F1@50")
        scores = [100 * evaluation.scores[name] for name in names]
        return [*scores, 100 * evaluation.baselines["nearest mean"]["accuracy"], *seconds]
    return [
        100 * evaluation.scores["accuracy"],
        100 * evaluation.baselines["nearest mean"]["accuracy"],
        100 * evaluation.facts["expected_calibration_error"]["with_temperature"],
        *seconds,
    ]


def setting(text: str) -> tuple[str, Any]:
    """An option of the classifier and its value."""
    name, _, value = text.partition("=")
    name = name.replace("-", "_")
    return name, value_of(VideoClassifier.settings()[name], value)


def read(sensors: bool) -> Clips:
    """All clips, whose names are in `clips.tsv`."""
    with (DATA / "clips.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    with np.load(DATA / "skeleton_mm.npz") as points, np.load(DATA / "inertial.npz") as measured:
        items = []
        for row in rows:
            name = row["clip"]
            beside = measured[name].astype(np.float32) if sensors else None
            landmarks = Landmarks.of(points[name], None, RATE, name, beside)
            items.append(Clip(name, landmarks, row["action"], row["subject"], name))
    return Clips(tuple(items), "UTD-MHAD")


def joined(clips: Clips) -> Clips:
    """Recordings of several clips of a subject, one after the other, whose labels in time are theirs."""
    generator = np.random.default_rng(0)
    items = []
    for subject in sorted({one.subject or "" for one in clips}):
        own = [one for one in clips if one.subject == subject]
        order = generator.permutation(len(own)).tolist()
        for first in range(0, len(own) - JOINED + 1, JOINED):
            parts = [own[k] for k in order[first : first + JOINED]]
            points = [one.content.points for one in parts if isinstance(one.content, Landmarks)]
            ends = np.cumsum([len(one) for one in points]) / RATE
            starts = [0.0, *ends[:-1].tolist()]
            spans = tuple(map(LabelSpan, [one.label or "" for one in parts], starts, ends.tolist()))
            name = f"{subject}-{first // JOINED}"
            landmarks = Landmarks.of(np.concatenate(points), None, RATE, name)
            items.append(Clip(name, landmarks, None, subject, name, spans=spans))
    return Clips(tuple(items), "UTD-MHAD, joined")


def read_depth() -> Clips:
    """All depth videos; decoded frames are cached, see `recurra.data.video.frame_cache`."""
    with (DATA / "clips.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    paths = [DATA / "depth" / f"{row['clip']}.mp4" for row in rows]
    items = [
        Clip(row["clip"], VideoSpan(path, check_video(path)), row["action"], row["subject"], str(path))
        for row, path in zip(rows, paths, strict=True)
    ]
    return Clips(tuple(items), "UTD-MHAD")


def show(name: str, row: list[float]) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:12.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
