"""`recurra evaluate RUN`: the task of the run says what is done."""

from collections.abc import Sequence

from recurra.cli.by_task import run_by_task

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    return run_by_task("evaluate", ("language", "translate"), arguments)
