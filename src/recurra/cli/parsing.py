"""What the subcommands' parsers share."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from recurra.errors import RecurraError

__all__ = ["make_parser", "names", "numbers", "parse", "show_warnings", "whole_numbers"]

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def make_parser(usage: str, description: str) -> ArgumentParser:
    """A parser that also reads its options from a YAML file, `--config`; the command line has the last word."""
    parser = ArgumentParser(prog=usage, description=description, exit_on_error=False)
    parser.add_argument("--config", action="config", help="a YAML file of these options; the command line overrides it")
    return parser


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse; options may be written with hyphens or underscores.

    Raises:
        RecurraError: where an option is unknown, missing or of the wrong type, in one line.
    """
    try:
        return parser.parse_args([_underscored(argument) for argument in arguments])
    except ArgumentError as error:
        # Of a command on a run the options depend on its task.
        run = " RUN" if any(action.dest == "run" for action in parser._actions) else ""
        raise RecurraError(f"{_in_a_line(str(error))} (options: {parser.prog}{run} --help)") from None


class Listed:
    """An option's type: values separated by commas, or a YAML list, as a tuple.

    Args:
        kind: of each value.
        words: what the help calls them.
    """

    def __init__(self, kind: Callable[[str], Any], words: str) -> None:
        self._kind = kind
        self._words = words

    def __call__(self, given: Any) -> tuple[Any, ...]:
        parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
        return tuple(self._kind(str(part).strip()) for part in parts if str(part).strip())

    def __repr__(self) -> str:
        return self._words


names = Listed(str, "names, comma-separated")
whole_numbers = Listed(int, "whole numbers, comma-separated")
numbers = Listed(float, "numbers, comma-separated")


def show_warnings() -> None:
    """Let the package's warnings reach the terminal, each a line; of several processes those of the first."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("recurra: warning: %(message)s"))
    logger = logging.getLogger("recurra")
    logger.handlers = [handler]
    logger.propagate = False
    if os.environ.get("RANK", "0") != "0":
        logger.setLevel(logging.ERROR)


def _in_a_line(message: str) -> str:
    """A message of jsonargparse without its line breaks and names of Python types."""
    name, got = re.match(r'Parser key "(\w+)":', message), re.search(r"(?:Got|Given) value: (.*)", message)
    kind = re.search(r"<class '(\w+)'>|Literal\[(.*)\]", message)
    if name and got and kind:
        expected = _WORDS.get(kind[1], kind[1]) if kind[1] else f"one of {kind[2].replace(chr(39), '')}"
        return f"{name[1]}: expected {expected}, got {got[1]!r}"
    return " ".join(message.replace('Parser key "config": ', "--config: ").split())


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
