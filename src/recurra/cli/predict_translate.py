"""`recurra predict RUN`, where the run is of a translator."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.cli.translation_options import add_search_options, search_of
from recurra.data.text.parallel import read_lines
from recurra.files import prepare_folder, write_text
from recurra.tasks.translate.commands import decode_lines, predict

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser(
        "recurra predict",
        "Translate the lines of a file, or of standard input, to standard output; in a terminal, line by line.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str | None, default=None, help="text file, plain or .gz; else standard input")
    parser.add_argument("--out", type=str | None, default=None, help="file to write; else standard output")
    parser.add_argument("--prefix", type=str, default="", help="what translations begin with, in whole words")
    parser.add_argument("--scores", action="store_true", help="write line number, score and translation, tab-separated")
    parser.add_argument("--picture", type=str | None, default=None, help="PNG file to draw attention into")
    add_search_options(parser)
    options = parse(parser, arguments)
    show_warnings()
    typing = options.data is None and sys.stdin.isatty()
    found = predict(
        Path(options.run),
        _typed() if typing else _given(options.data),
        search_of(options),
        [Path(other) for other in options.ensemble],
        options.prefix,
        options.scores,
        None if options.picture is None else Path(options.picture),
        **({"at_once": 1} if typing else {}),
    )
    if options.out is not None:
        out = Path(options.out)
        prepare_folder(out.parent)
        write_text(out, "".join(f"{line}\n" for line in found))
        print(f"translations: {out}")
        return 0
    for line in found:
        print(line, flush=True)
    return 0


def _given(path: str | None) -> Iterator[str]:
    if path is None:
        return decode_lines(sys.stdin.buffer, "standard input")
    return iter(read_lines(path))


def _typed() -> Iterator[str]:
    """Lines from the terminal, until its end (Ctrl-D)."""
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return
