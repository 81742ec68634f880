"""`recurra demo`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from recurra.cli.arguments import Parser
from recurra.cli.commands import run_verb, train
from recurra.options import Option, Setting

__all__ = ["run"]

_OPTIONS = {
    "air_passengers": "--horizon=12 --folds=3 --max-steps=300 --batch-size=32",
    "weather": "--horizon=48 --folds=7 --max-steps=400 --dropout=0.1 --past=humid,wind_speed,pressure",
}


def run(arguments: Sequence[str]) -> int:
    """Run `recurra demo`: train forecasters on the bundled samples and evaluate them."""
    from recurra.training import has_run

    parser = Parser(
        "recurra demo", "Train forecasters on the bundled samples, backtest them, and plot their forecasts."
    )
    parser.add_settings(
        [Setting("out", str, False, "runs/demo", Option("folder; earlier runs in it are replaced", group="run"))]
    )
    values = parser.parse(arguments)
    if values is None:
        return 0
    for name, options in _OPTIONS.items():
        folder = Path(values.get("out", "runs/demo")) / name
        if has_run(folder):
            shutil.rmtree(folder)
        command = ["forecast", "--data", name, "--out", str(folder), *options.split()]
        print(f"== recurra train {' '.join(command)} ==", flush=True)
        train(command)
        run_verb("evaluate", [str(folder)])
    return 0
