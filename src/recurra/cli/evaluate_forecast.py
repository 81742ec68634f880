"""`recurra evaluate RUN`, where the run is of a forecaster."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, names, parse, show_warnings
from recurra.tasks.forecast.commands import evaluate

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser(
        "recurra evaluate", "Backtest a forecaster from rolling origins, beside naive and seasonal naive."
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--folds", type=int | None, default=None, help="forecasts of each series; as held out by default"
    )
    parser.add_argument("--step", type=int | None, default=None, help="steps between origins; the horizon by default")
    parser.add_argument("--refit", action="store_true", help="train anew before each fold, on what is before it")
    parser.add_argument("--data", type=str | None, default=None, help="other data than the run's own, in the same form")
    parser.add_argument(
        "--test",
        type=str | None,
        default=None,
        help="a file with what followed the training data, as M4's test files",
    )
    parser.add_argument("--series", type=names, default=(), help="ids to draw; a spread by default")
    parser.add_argument("--out", type=str | None, default=None, help="where tables and pictures go; RUN/evaluation")
    options = parse(parser, arguments)
    show_warnings()
    folder = Path(options.run)
    print(
        evaluate(
            folder,
            folds=options.folds,
            step=options.step,
            refit=options.refit,
            data=options.data,
            test=options.test,
            ids=options.series,
            out=None if options.out is None else Path(options.out),
        )
    )
    return 0
