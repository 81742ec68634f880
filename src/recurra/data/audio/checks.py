"""Checks of utterances before training: what cannot be used is named in one line each."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recurra.data.audio.sound import Sound, SoundHeader, read_header
from recurra.data.audio.utterances import Utterance, Utterances
from recurra.data.files.problems import Problem, log_problems, problems_table, refuse_unusable
from recurra.errors import DataError, RecurraError
from recurra.files import write_text
from recurra.progress import Progress

__all__ = ["CheckedUtterances", "Requirements", "check_utterances"]

_log = logging.getLogger("recurra.audio")

# A recording is silent if no sample reaches this: ten steps of 16 bits.
_SILENT_PEAK = 10 / 32768
# A recording is clipped if this fraction of its samples is at full scale.
_FULL_SCALE = 0.999
_CLIPPED_FRACTION = 0.005
# A stated duration may differ by this many seconds and by this fraction.
_SECONDS, _FRACTION = 0.1, 0.02
_MANY = 500
_NOUN = "utterances"


@dataclass(frozen=True)
class Requirements:
    """What utterances have to be.

    Attributes:
        text: whether each utterance needs a text.
        shortest: the duration of the shortest recording, in seconds; by default that of a frame of features.
        silence: whether a silent recording can be used.
        hours_decoded: the samples are read too if there are at most as many hours; else the headers alone.
    """

    text: bool = True
    shortest: float = 0.025
    silence: bool = False
    hours_decoded: float = 20.0


@dataclass(frozen=True)
class CheckedUtterances:
    """The utterances that can be used, and what is wrong with others.

    Attributes:
        utterances: what can be used.
        seconds: the duration of each (N,).
        problems: those of all rows, in their order; then those of all rows together.
        rows: the number of rows that were checked.
    """

    utterances: Utterances
    seconds: np.ndarray
    problems: tuple[Problem, ...]
    rows: int

    @property
    def unusable(self) -> int:
        """The number of rows that cannot be used."""
        return self.rows - len(self.utterances)


def check_utterances(
    utterances: Utterances,
    requirements: Requirements,
    *,
    most_unusable: float = 0.05,
    report: Path | None = None,
) -> CheckedUtterances:
    """Check utterances, in several threads, and log a summary. Progress is shown of 500 rows or more.

    Args:
        utterances: what is checked.
        requirements: what they have to be.
        most_unusable: the fraction of rows that may be unusable.
        report: the file that all problems are written to, if there are any. None: they are only logged.

    Raises:
        DataError: no row can be used, or more than `most_unusable` of them cannot. The message names the first.
        MissingExtraError: the extra `audio` is not installed.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        rows = list(utterances)

        def each(task: str, check: Callable[[Utterance], "_Row"]) -> list[_Row]:
            checked = []
            with Progress(len(rows), task=task, show=None if len(rows) >= _MANY else False) as progress:
                for one in pool.map(check, rows):
                    checked.append(one)
                    progress.update({})
            return checked

        checked = each("reading headers", lambda one: _check_header(one, requirements))
        if sum(row.seconds for row in checked) <= 3600 * requirements.hours_decoded:
            decoded = each("checking samples", lambda one: _check_samples(one, requirements))
            checked = [
                row if row.fatal else row.with_problems(samples.problems)
                for row, samples in zip(checked, decoded, strict=True)
            ]
    _check_ids(rows, checked)
    problems = [problem for row in checked for problem in row.problems]
    problems += _rate_problems(rows, checked)
    good = [k for k, row in enumerate(checked) if not row.fatal]
    if not good or len(rows) - len(good) > most_unusable * len(rows):
        refuse_unusable(utterances.source, _NOUN, len(rows), len(rows) - len(good), problems, most_unusable, report)
    seconds = np.array([checked[k].seconds for k in good])
    items = tuple(replace(rows[k], duration=checked[k].seconds) for k in good)
    usable = replace(utterances, items=items, problems=tuple(problems))
    result = CheckedUtterances(usable, seconds, tuple(problems), len(rows))
    if problems:
        if report is not None:
            write_text(report, problems_table(problems))
        log_problems(_log, utterances.source, _NOUN, len(rows), result.unusable, problems, report)
    return result


@dataclass(frozen=True)
class _Row:
    """One row as it is checked."""

    seconds: float = 0.0
    header: SoundHeader | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def fatal(self) -> bool:
        return any(not problem.usable for problem in self.problems)

    def with_problems(self, problems: tuple[Problem, ...]) -> "_Row":
        return replace(self, problems=self.problems + problems)


def _check_header(one: Utterance, requirements: Requirements) -> _Row:
    """Text, header, durations: all that needs no samples."""

    def problem(reason: str, usable: bool = False) -> Problem:
        return Problem(one.where, one.name, reason, usable)

    problems = [problem(reason) for reason in _text_reasons(one, requirements)]
    try:
        header = _header(one)
    except RecurraError as error:
        if not isinstance(error, DataError):
            raise
        return _Row(problems=(*problems, problem(str(error))))
    whole = header.seconds
    seconds = whole
    if not header.samples:
        problems.append(problem("the recording holds no samples."))
        return _Row(0.0, header, tuple(problems))
    allowed = max(_SECONDS, _FRACTION * whole)
    if one.offset is not None:
        end = whole if one.duration is None else one.offset + one.duration
        seconds = max(min(end, whole) - one.offset, 0.0)
        if one.offset >= whole:
            problems.append(problem(f"the segment begins at {one.offset:.2f} s, and the recording has {whole:.2f} s."))
        elif end > whole + allowed:
            problems.append(problem(f"the segment ends at {end:.2f} s, and the recording at {whole:.2f} s."))
    elif one.duration is not None and abs(one.duration - whole) > allowed:
        stated = f"the manifest states {one.duration:.2f} s, and the recording has {whole:.2f} s"
        cut = one.duration > whole
        problems.append(problem(f"{stated}: it is cut off." if cut else f"{stated}.", usable=not cut))
    if 0 < seconds < requirements.shortest:
        problems.append(problem(f"too short: {seconds:.3g} s, expected at least {requirements.shortest:g} s."))
    return _Row(seconds, header, tuple(problems))


def _header(one: Utterance) -> SoundHeader:
    if isinstance(one.audio, Sound):
        return SoundHeader(one.audio.sample_rate, len(one.audio.samples), 1)
    return read_header(one.audio)


def _text_reasons(one: Utterance, requirements: Requirements) -> Iterator[str]:
    if not requirements.text:
        return
    if one.text is None:
        yield "there is no text."
    elif not one.text.strip():
        yield "the text is empty."


def _check_samples(one: Utterance, requirements: Requirements) -> _Row:
    """Silence, clipping, damage."""
    try:
        rate = one.audio.sample_rate if isinstance(one.audio, Sound) else read_header(one.audio).sample_rate
        samples = np.abs(one.read(rate).samples)
    except DataError as error:
        reason = str(error).removeprefix(f"{one.where}: ")
        return _Row(problems=(Problem(one.where, one.name, reason),))
    peak = float(samples.max(initial=0.0))
    if peak < _SILENT_PEAK:
        return _Row(problems=(Problem(one.where, one.name, "the recording is silent.", usable=requirements.silence),))
    clipped = float(np.mean(samples >= _FULL_SCALE))
    if clipped > _CLIPPED_FRACTION:
        reason = f"clipped: {100 * clipped:.1f} % of its samples are at full scale."
        return _Row(problems=(Problem(one.where, one.name, reason, usable=True),))
    return _Row()


def _check_ids(rows: list[Utterance], checked: list[_Row]) -> None:
    """Add a problem to each row whose id an earlier row has."""
    first: dict[str, Utterance] = {}
    for k, one in enumerate(rows):
        earlier = first.setdefault(one.id, one)
        if earlier is not one:
            where = f" ({earlier.where})" if earlier.where else ""
            reason = f"the id {one.id!r} is that of an earlier row{where}."
            checked[k] = checked[k].with_problems((Problem(one.where, one.name, reason),))


def _rate_problems(rows: list[Utterance], checked: list[_Row]) -> list[Problem]:
    rates = [row.header.sample_rate if row.header is not None else 0 for row in checked]
    counts = Counter(rate for rate in rates if rate).most_common()
    if len(counts) < 2:
        return []
    one = rows[rates.index(counts[-1][0])]
    shown = ", ".join(f"{rate:,} ({count:,} recordings)" for rate, count in counts)
    return [Problem(one.where, one.name, f"several sample rates, all of which are resampled: {shown}.", usable=True)]
