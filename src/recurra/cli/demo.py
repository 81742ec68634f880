"""`recurra demo`."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.arguments import Parser
from recurra.cli.commands import run_verb, train
from recurra.options import Option, Setting

__all__ = ["run"]

_OPTIONS = {
    "forecast": {
        "air_passengers": "--horizon=12 --folds=3 --max-steps=300 --batch-size=32",
        "weather": "--horizon=48 --folds=7 --max-steps=400 --dropout=0.1 --past=humid,wind_speed,pressure",
    },
    "caption": {
        "emoji": "--features=trained --image-size=32 --feature-size=96 --hidden-size=160 --embedding-size=64 "
        "--attention-size=32 --batch-size=32 --dropout=0.1 --attention-penalty=0.1 --learning-rate=0.003 "
        "--image-shift=2 --max-steps=1200 --validate-every=300",
    },
}
_SETTINGS = [
    Setting(
        "task",
        Literal["forecast", "caption"],
        False,
        "forecast",
        Option("what is trained: forecasters of two tables of series, or a captioner of emoji", group="run"),
    ),
    Setting("out", str, False, "runs/demo", Option("folder; earlier runs in it are replaced", group="run")),
]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra demo`: train on the bundled samples and evaluate."""
    from recurra.training import has_run

    parser = Parser("recurra demo", "Train on the bundled samples, evaluate, and draw the results.")
    parser.add_settings(_SETTINGS)
    values = parser.parse(arguments)
    if values is None:
        return 0
    task = values.get("task", "forecast")
    for name, options in _OPTIONS[task].items():
        folder = Path(values.get("out", "runs/demo")) / name
        if has_run(folder):
            shutil.rmtree(folder)
        command = [task, "--data", name, "--out", str(folder), *options.split()]
        print(f"== recurra train {' '.join(command)} ==", flush=True)
        train(command)
        if task == "forecast":
            run_verb("evaluate", [str(folder)])
        else:
            run_verb("evaluate", [str(folder), "--data", name])
            pages = ["--page", str(folder / "captions.html"), "--out", str(folder / "captions.csv")]
            run_verb("predict", [str(folder), "--data", name, *pages])
    return 0
