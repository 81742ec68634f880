"""What the subcommands' parsers share."""

import logging
from collections.abc import Sequence
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


def names(text: Any) -> tuple[str, ...]:
    """Names separated by commas."""
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(str(part).strip() for part in parts if str(part).strip())


def whole_numbers(text: Any) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    parts = text.split(",") if isinstance(text, str) else [text] if isinstance(text, int) else text
    return tuple(int(part) for part in parts)


def numbers(text: Any) -> tuple[float, ...]:
    """Numbers separated by commas."""
    parts = text.split(",") if isinstance(text, str) else [text] if isinstance(text, float) else text
    return tuple(float(part) for part in parts)


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
