"""What is wrong with the rows of data: named in one line each, set aside, counted."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from recurra.errors import DataError
from recurra.files import write_text
from recurra.options import Options, option

__all__ = [
    "MostUnusable",
    "Problem",
    "WithProblems",
    "log_problems",
    "problem_files",
    "problems_table",
    "refuse_unusable",
]

_NAMED = 3


class MostUnusable(Options):
    """How much of the data may be unusable, which is left out."""

    most_unusable: float = option(
        default=0.05,
        at_least=0,
        at_most=1,
        help="fraction of the files, recordings or images that may be unusable; they are left out",
    )


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row of data.

    Attributes:
        where: the file that lists it, or that it is a part of, and the line; or "".
        name: the file, or its id; "" for a part of a file.
        reason: what is wrong, and what to do.
        usable: whether the row can be used in spite of it.
    """

    where: str
    name: str
    reason: str
    usable: bool = False

    def __str__(self) -> str:
        reason = self.reason.removeprefix(f"{self.name}: ")
        return ": ".join(part for part in (self.where, self.name, reason) if part)


class WithProblems(Protocol):
    """Data that were checked."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with their rows."""
        ...


def problem_files(*data: WithProblems | None, more: Iterable[Problem] = ()) -> dict[str, str]:
    """The file `problems.tsv` of a run's folder, which names each problem of its data once; none without problems.

    Args:
        data: what was checked.
        more: problems that no check knew of.
    """
    checked = (problem for one in data if one is not None for problem in one.problems)
    problems = dict.fromkeys([*checked, *more])
    return {"problems.tsv": problems_table(problems)} if problems else {}


def problems_table(problems: Iterable[Problem]) -> str:
    """Problems as a table with tabs: use, where, file, reason."""
    lines = [
        "\t".join(["used" if one.usable else "left out", one.where, one.name, " ".join(one.reason.split())])
        for one in problems
    ]
    return "\n".join(["use\twhere\tfile\treason", *lines]) + "\n"


def refuse_unusable(
    source: str,
    noun: str,
    rows: int,
    unusable: int,
    problems: Iterable[Problem],
    most_unusable: float,
    report: Path | None = None,
) -> NoReturn:
    """Raise the error of too many unusable rows, after all of them are written.

    Args:
        source: of the data.
        noun: what the rows are, such as "utterances".
        rows: how many were checked.
        unusable: how many of them cannot be used.
        problems: what is wrong.
        most_unusable: the fraction of rows that may be unusable.
        report: the file that all problems are written to. None: the message alone names them.

    Raises:
        DataError: always. The message names the first rows; of a single row, such as a file alone, it is what is wrong.
    """
    problems = list(problems)
    if rows == 1 and report is None and len(problems) == 1:
        raise DataError(str(problems[0]))
    if report is not None:
        write_text(report, problems_table(problems))
    listed = " ".join(str(problem) for problem in [one for one in problems if not one.usable][:_NAMED])
    too_many = 0 < most_unusable * rows < unusable
    allowed = f", more than the {100 * most_unusable:g} % that are allowed (--most-unusable)" if too_many else ""
    more = f" All are in {report}." if report is not None else ""
    raise DataError(f"{source}: {unusable:,} of {rows:,} {noun} cannot be used{allowed}. {listed}{more}")


def log_problems(
    log: logging.Logger,
    source: str,
    noun: str,
    rows: int,
    unusable: int,
    problems: Iterable[Problem],
    report: Path | None = None,
) -> None:
    """Log the problems: all of a few, and of many the first and how many there are; see `refuse_unusable`."""
    listed = list(problems)
    for usable, what in ((False, "cannot be used and are left out"), (True, "are used in spite of a problem")):
        own = [problem for problem in listed if problem.usable == usable]
        if not own:
            continue
        more = f" ... in {report}" if report is not None and len(own) > _NAMED else ""
        shown = "; ".join(map(str, own[:_NAMED]))
        count = len({(one.where, one.name) for one in own}) if usable else unusable
        log.warning("%s: %d of %d %s %s: %s%s", source, count, rows, noun, what, shown, more)
