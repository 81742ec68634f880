"""Piano rolls: the notes of the next frame from those before, by `recurra train music` with its own settings.

Nottingham, JSB chorales and MuseData as Boulanger-Lewandowski et al. 2012 published and split them. Every setting is a
default of the task, which follows from the size of the training data alone. The weights are chosen on the validation
split. The measure is the negative log-likelihood of a frame in nats, the sum over its notes: of every frame but the
first of a piece, all alike (Bai et al. 2018), of all frames, and the mean over pieces of the mean of each. Seconds are
of the processor, not of the clock.
"""

import os
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, Literal, cast

from benchmarks._learning import Fitted, Outcome, count_parameters, make_parser, run_all, show
from recurra import MusicModel
from recurra.tasks.music import MusicReading

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "pianoroll_mat"
SETS = {"Nottingham": 2, "JSB_Chorales": 1, "MuseData": 2}
"""The frames of a beat of each set."""
OUTPUTS = ("independent", "nade")
MEASURES = ("test", "with first", "by piece", "n-gram of frames", "last frame")


def main() -> None:
    parser = make_parser(__doc__, SETS, OUTPUTS)
    options = parser.parse_args()
    try:
        import scipy.io  # noqa: F401
    except ImportError:
        parser.exit(2, "scipy is missing: pip install scipy\n")
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds pianoroll_mat\n")
    report(run_all("music_rolls", options, train), options)


def report(outcomes: list[Outcome], options: Namespace) -> None:
    title = "Piano rolls: nats a frame of the test split, mean and deviation over seeds"
    show(title, outcomes, dict.fromkeys(MEASURES, ".3f"), options.markdown)


def train(name: str, output: str, seed: int, budget: float) -> Outcome:
    """One training with the task's own settings, `budget` times as long, and its test."""
    path, reading = DATA / f"{name}.mat", MusicReading(steps_per_beat=SETS[name])
    started = time.process_time()
    kind = cast(Literal["independent", "nade"], output)
    model = MusicModel(output=kind, seed=seed, device="cpu", **_budget(path, reading, budget))
    model.fit(path, reading=reading, progress=sys.stderr.isatty())
    result = model.training_result
    assert result is not None
    fitted = Fitted(result.steps, time.process_time() - started, "budget", [(result.best_step, result.best_loss)])
    evaluation = model.evaluate(path, samples=0)
    figures = {
        "test": evaluation.scores["nats/frame"],
        "with first": evaluation.scores["with first"],
        "by piece": evaluation.scores["by piece"],
        **{name: evaluation.baselines[name]["nats/frame"] for name in MEASURES[3:]},
    }
    return Outcome(name, output, seed, count_parameters(model.fitted.network), fitted, figures)


def _budget(path: Path, reading: MusicReading, budget: float) -> dict[str, Any]:
    """The steps of a training of another length than the task's own."""
    if budget == 1:
        return {}
    model = MusicModel()
    frames = sum(piece.length for piece in model.read(path, None, reading, True).part("train"))
    a_step = model.batch_size * model.truncation_length
    return {"max_steps": max(round(budget * model.standard_steps(round(frames / a_step))), 1)}


if __name__ == "__main__":
    main()
