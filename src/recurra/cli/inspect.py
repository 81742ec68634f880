"""`recurra inspect RUN`: the task of the run says what is looked at."""

from collections.abc import Sequence

from recurra.cli.by_task import run_by_task

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    return run_by_task("inspect", ("language", "translate"), arguments)
