"""`recurra generate RUN`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.errors import ParameterError
from recurra.tasks.language.commands import generate

__all__ = ["run"]

_COLORS = ("auto", "always", "never")


def run(arguments: Sequence[str]) -> int:
    """Run `recurra generate` with these arguments."""
    parser = make_parser(
        "recurra generate",
        "Go on from a prompt with a language model, as it comes. In a terminal the colour behind each token is its "
        "surprise: how little the model expected it.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train language` wrote")
    parser.add_argument("--prompt", type=str, default="", help="what the text begins with")
    parser.add_argument("--length", type=int, default=500, help="tokens to generate; 0 to see the prompt's surprise")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1 safer, above 1 wilder, 0 greedy")
    parser.add_argument("--top_k", type=int, default=0, help="draw among the k most probable only; 0 for all")
    parser.add_argument(
        "--top_p", type=float, default=1.0, help="draw among the most probable that together have this probability"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same text")
    parser.add_argument("--color", type=str, default="auto", help="auto (in a terminal), always or never")
    parser.add_argument("--html", type=str | None, default=None, help="page to write, with the surprise of each token")
    options = parse(parser, arguments)
    if options.color not in _COLORS:
        raise ParameterError("color", f"one of {', '.join(_COLORS)}", options.color)
    show_warnings()
    in_terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    try:
        said = generate(
            Path(options.run),
            _write,
            options.prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            options.length,
            options.temperature,
            options.top_k,
            options.top_p,
            options.seed,
            options.color == "always" or (options.color == "auto" and in_terminal),
            None if options.html is None else Path(options.html),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped") from None
    if said:
        print(said, file=sys.stderr)  # the output is the text alone
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
