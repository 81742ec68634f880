"""What the parsers of `recurra inspect` share, whatever the task."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from recurra.cli.parsing import make_parser

__all__ = ["make_inspection_parser", "out_of"]


def make_inspection_parser() -> ArgumentParser:
    """A parser of the run and `--out`."""
    parser = make_parser(
        "recurra inspect",
        "Look inside a trained run: gradients through time, memory, dynamics, gates and attribution, as one HTML page "
        "with pictures (PNG) and tables (CSV) beside it.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--out", type=str | None, default=None, help="where page, pictures and tables go; RUN/inspection"
    )
    return parser


def out_of(options: Namespace) -> Path | None:
    """Where page, pictures and tables go; None for the default."""
    return None if options.out is None else Path(options.out)
