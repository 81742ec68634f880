"""`recurra predict RUN`, where the run is of a forecaster."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, names, parse, show_warnings
from recurra.tasks.forecast.commands import predict

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser("recurra predict", "Forecast the horizon after the end of each series.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        help="newer observations or other series; the run's own by default",
    )
    parser.add_argument(
        "--future",
        type=str | None,
        default=None,
        help="file of the known covariates after the end of each series",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="CSV or Parquet file to write; RUN/forecast.csv by default",
    )
    parser.add_argument("--picture", type=str | None, default=None, help="PNG file to draw the forecasts into")
    parser.add_argument("--series", type=names, default=(), help="ids to draw; the first by default")
    options = parse(parser, arguments)
    show_warnings()
    folder = Path(options.run)
    print(
        predict(
            folder,
            data=options.data,
            future=options.future,
            out=None if options.out is None else Path(options.out),
            picture=None if options.picture is None else Path(options.picture),
            ids=options.series,
        )
    )
    return 0
