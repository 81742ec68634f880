"""`recurra train forecast`."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, names, numbers, parse, show_warnings, whole_numbers
from recurra.data.series.series_set import Columns
from recurra.errors import ParameterError
from recurra.tasks.forecast import ForecastSettings
from recurra.tasks.forecast.commands import train
from recurra.training import TrainingInterruptedError

__all__ = ["run"]

_DEFAULTS = ForecastSettings(horizon=1)


def run(arguments: Sequence[str], resume_command: str) -> int:
    """Run `recurra train forecast` with these arguments; the other is what to say after an interruption."""
    parser = make_parser(
        "recurra train forecast",
        "Train a recurrent forecaster on every series of a file, and keep it in a run folder.",
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=str,
        required=True,
        help="CSV (long, or wide as in M4), TSV, Parquet or .tsf file; or a sample, air_passengers or weather",
    )
    group.add_argument("--out", type=str, default="runs/forecast", help="folder of the run")
    group.add_argument("--id_column", type=str, default="unique_id", help="which series a row belongs to")
    group.add_argument("--time_column", type=str, default="ds", help="date, time or step")
    group.add_argument("--target_column", type=str, default="y", help="what to forecast")
    group.add_argument("--past", type=names, default=(), help="columns known up to now")
    group.add_argument("--known", type=names, default=(), help="columns known for the future too")
    group.add_argument("--static", type=names, default=(), help="columns that do not vary within a series")
    group.add_argument(
        "--freq", type=str | None, default=None, help="such as 15m, 1h, 1d, 1w, 1mo; inferred by default"
    )
    group.add_argument(
        "--folds",
        type=int,
        default=2,
        help="horizons at the end of each series held out for `recurra evaluate`",
    )
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")
    group.add_argument("--tensorboard", action="store_true", help="also log to TensorBoard, in the run folder")
    settings = parser.add_argument_group("forecaster")
    settings.add_argument("--horizon", type=int, required=True, help="steps to forecast")
    settings.add_argument(
        "--seasons",
        "--season",
        type=whole_numbers,
        default=(),
        help="lengths of the cycles in steps, shortest first, as 24,168; from the frequency by default",
    )
    settings.add_argument(
        "--quantiles", type=numbers, default=_DEFAULTS.quantiles, help="levels forecast, as 0.1,0.5,0.9"
    )
    settings.add_argument(
        "--betas",
        type=numbers,
        default=_DEFAULTS.betas,
        help="of Adam and its kin: the decay of the running mean of gradients, and of their squares",
    )
    parser.add_class_arguments(ForecastSettings, skip={"horizon", "seasons", "quantiles", "betas"})
    options = parse(parser, arguments)
    show_warnings()
    values = {name: getattr(options, name) for name in ForecastSettings.__dataclass_fields__}
    if options.folds < 0:
        raise ParameterError("folds", "0 or more", options.folds)
    try:
        print(
            train(
                options.data,
                ForecastSettings(**values),
                Path(options.out),
                Columns(
                    options.id_column,
                    options.time_column,
                    options.target_column,
                    options.past,
                    options.known,
                    options.static,
                ),
                options.freq,
                options.folds,
                options.resume,
                options.tensorboard,
            )
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; go on with: {resume_command}") from interrupt
    return 0
