"""`recurra predict RUN`, where the run is of a language model."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.tasks.language.commands import predict

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser(
        "recurra predict", "What a language model expects next; `recurra generate` goes on from there."
    )
    parser.add_argument("run", type=str, help="folder that `recurra train language` wrote")
    parser.add_argument("--prompt", type=str, default="", help="what the text begins with")
    parser.add_argument("--top", type=int, default=10, help="how many tokens, the likeliest first")
    options = parse(parser, arguments)
    show_warnings()
    prompt = options.prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    print(predict(Path(options.run), prompt, options.top))
    return 0
