"""`recurra demo`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.data.series.series_set import Columns
from recurra.tasks.forecast import ForecastSettings
from recurra.tasks.forecast.commands import evaluate, train
from recurra.training import has_run

__all__ = ["run"]

_RUNS = {
    "air_passengers": (ForecastSettings(horizon=12, max_steps=300, batch_size=32), Columns(), 3),
    "weather": (
        ForecastSettings(horizon=48, max_steps=400, dropout=0.1, conformal=True),
        Columns(past=("humid", "wind_speed", "pressure")),
        7,
    ),
}


def run(arguments: Sequence[str]) -> int:
    """Run `recurra demo` with these arguments."""
    parser = make_parser(
        "recurra demo",
        "Train forecasters on the bundled samples, backtest them, and draw what they forecast.",
    )
    parser.add_argument("--out", type=str, default="runs/demo", help="folder; runs of before in it are replaced")
    options = parse(parser, arguments)
    show_warnings()
    for name, (settings, columns, folds) in _RUNS.items():
        folder = Path(options.out) / name
        if has_run(folder):
            shutil.rmtree(folder)
        print(f"== {name} ==", flush=True)
        print(train(name, settings, folder, columns, folds=folds), flush=True)
        print(evaluate(folder), flush=True)
    return 0
