"""What the measurements' command lines share."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import torch

from benchmarks._report import Report


def make_parser(description: str | None) -> ArgumentParser:
    """A parser with the options that all measurements have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each set of functions timed in turn")
    parser.add_argument("--threads", type=int, default=2, help="of torch and recurra")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    return parser


def prepare(options: Namespace) -> None:
    """The same threads and the same random numbers for each measurement."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)


def run_alone(
    description: str | None,
    add_options: Callable[[ArgumentParser], None],
    measure: Callable[[Namespace, Report], None],
) -> None:
    """One measurement as a program."""
    parser = make_parser(description)
    add_options(parser)
    options = parser.parse_args()
    prepare(options)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    measure(options, Report(options.markdown))
