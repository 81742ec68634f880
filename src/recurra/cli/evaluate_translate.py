"""`recurra evaluate RUN`, where the run is of a translator."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.cli.translation_options import add_search_options, search_of
from recurra.tasks.translate.commands import evaluate

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser("recurra evaluate", "Translate a test set and score it: BLEU and chrF, as sacreBLEU has them.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--data",
        type=str,
        nargs="+",
        required=True,
        help="two text files, source and target line by line, or one table of two columns (TSV); plain or .gz",
    )
    parser.add_argument("--out", type=str | None, default=None, help="where translations and scores go; RUN/evaluation")
    add_search_options(parser)
    options = parse(parser, arguments)
    show_warnings()
    out = None if options.out is None else Path(options.out)
    others = [Path(other) for other in options.ensemble]
    print(evaluate(Path(options.run), options.data, search_of(options), others, out))
    return 0
