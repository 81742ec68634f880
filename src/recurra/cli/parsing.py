"""What the subcommands' parsers share."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace

__all__ = ["make_parser", "names", "numbers", "parse", "show_warnings", "whole_numbers"]


def make_parser(usage: str, description: str) -> ArgumentParser:
    """A parser that also reads its options from a YAML file, `--config`; the command line has the last word."""
    parser = ArgumentParser(prog=usage, description=description, exit_on_error=True)
    parser.add_argument("--config", action="config", help="a YAML file of these options; the command line overrides it")
    return parser


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse; options may be written with hyphens or underscores."""
    return parser.parse_args([_underscored(argument) for argument in arguments])


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
    """Let the package's warnings reach the terminal, each a line."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("recurra: warning: %(message)s"))
    logger = logging.getLogger("recurra")
    logger.handlers = [handler]
    logger.propagate = False


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
