"""`recurra evaluate RUN`, where the run is of a language model."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.tasks.language.commands import evaluate

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser("recurra evaluate", "How well a language model predicts a text, beside an n-gram.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--data", type=str | None, default=None, help="a text file; the run's validation and test texts by default"
    )
    parser.add_argument("--out", type=str | None, default=None, help="where evaluation.json goes; RUN/evaluation")
    options = parse(parser, arguments)
    show_warnings()
    print(evaluate(Path(options.run), options.data, None if options.out is None else Path(options.out)))
    return 0
