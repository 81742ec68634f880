"""Transcripts: words with their times and confidence, and the forms in which they are written."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text

__all__ = ["Segment", "Word", "ctm", "form_of", "json_lines", "srt", "text_grid", "vtt", "write_each"]

_LINE = 42  # characters of a line of subtitles, as broadcasters recommend
_SUBTITLE = 6.0  # seconds that a subtitle covers at most
_SHORTEST = 0.7  # seconds that a subtitle stays


@dataclass(frozen=True)
class Word:
    """A word.

    Attributes:
        text: of the word.
        begin: in seconds from the beginning of the recording.
        end: likewise.
        confidence: the probability that it is right, 0 to 1, as far as the recogniser is calibrated.
        units: the parts of the word with their own times, such as its characters, if they were asked for.
    """

    text: str
    begin: float
    end: float
    confidence: float
    units: tuple["Word", ...] = ()

    def later(self, seconds: float) -> "Word":
        """The same word later."""
        units = tuple(unit.later(seconds) for unit in self.units)
        return replace(self, begin=self.begin + seconds, end=self.end + seconds, units=units)

    def to_json(self, name: str = "word") -> dict[str, Any]:
        """The word as JSON values, its text under a name; times with three decimals."""
        values: dict[str, Any] = {
            name: self.text,
            "begin": round(self.begin, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
        }
        return {**values, "units": [unit.to_json("unit") for unit in self.units]} if self.units else values


@dataclass(frozen=True)
class Segment:
    """What is said between two pauses.

    Attributes:
        words: in order; there may be none.
    """

    words: tuple[Word, ...]

    @classmethod
    def joined(cls, segments: Iterable["Segment"]) -> "Segment":
        """The words of several segments as one."""
        return cls(tuple(word for segment in segments for word in segment.words))

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word.text for word in self.words)

    @property
    def begin(self) -> float:
        """Where the first word begins, in seconds; 0 without words."""
        return self.words[0].begin if self.words else 0.0

    @property
    def end(self) -> float:
        """Where the last word ends, in seconds; 0 without words."""
        return self.words[-1].end if self.words else 0.0

    @property
    def confidence(self) -> float:
        """The mean confidence of the words; 1 without words."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 1.0

    def later(self, seconds: float) -> "Segment":
        """The same words later."""
        return Segment(tuple(word.later(seconds) for word in self.words))

    def to_json(self) -> dict[str, Any]:
        """The segment as JSON values; times with three decimals."""
        return {
            "begin": round(self.begin, 3),
            "end": round(self.end, 3),
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "words": [word.to_json() for word in self.words],
        }


def json_lines(name: str, segments: Sequence[Segment]) -> str:
    """One line of JSON for each segment, with the name of the recording."""
    rows = ({"recording": name, **segment.to_json()} for segment in segments)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def ctm(name: str, segments: Sequence[Segment]) -> str:
    """NIST's CTM: recording, channel, begin, duration, word and confidence, one line for each word."""
    name = "_".join(name.split()) or "recording"
    return "".join(
        f"{name} 1 {word.begin:.2f} {word.end - word.begin:.2f} {word.text} {word.confidence:.3f}\n"
        for segment in segments
        for word in segment.words
    )


def srt(segments: Sequence[Segment]) -> str:
    """SubRip subtitles."""
    blocks = (
        f"{number}\n{_clock(begin, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (begin, end, text) in enumerate(_subtitles(segments), start=1)
    )
    return "\n".join(blocks)


def vtt(segments: Sequence[Segment]) -> str:
    """WebVTT subtitles."""
    blocks = (f"{_clock(begin, '.')} --> {_clock(end, '.')}\n{text}\n" for begin, end, text in _subtitles(segments))
    return "\n".join(["WEBVTT\n", *blocks])


def text_grid(segment: Segment, seconds: float) -> str:
    """Praat's TextGrid: a tier of words and, if they have any, one of their units; gaps are intervals without text.

    Args:
        segment: of the whole recording.
        seconds: the duration of the recording.
    """
    tiers = {"words": segment.words}
    if any(word.units for word in segment.words):
        tiers["units"] = tuple(unit for word in segment.words for unit in word.units)
    seconds = max(seconds, segment.end)
    span = ["xmin = 0", f"xmax = {seconds:.4f}"]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *span, "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, words) in enumerate(tiers.items(), start=1):
        intervals = _intervals(words, seconds)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += [*(f"        {one}" for one in span), f"        intervals: size = {len(intervals)}"]
        for index, (begin, end, text) in enumerate(intervals, start=1):
            quoted = text.replace('"', '""')
            lines += [f"        intervals [{index}]:", f"            xmin = {begin:.4f}"]
            lines += [f"            xmax = {end:.4f}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


def form_of(path: str | Path, forms: Sequence[str]) -> str | None:
    """The form that the ending of a file names, such as "srt" for "meeting.srt"; None if it names none of these."""
    ending = Path(path).suffix[1:].lower()
    return ending if ending in forms else None


def write_each(path: Path, texts: Sequence[tuple[str, str]], ending: str) -> list[Path]:
    """Write the text of one recording into a file, or those of several into a folder, a file each.

    Args:
        path: the file, or the folder.
        texts: the name of each recording, and its text. Files are named after recordings, without their endings if
            these names still differ.
        ending: of the files in the folder.

    Returns:
        The files.

    Raises:
        RunError: one cannot be written.
    """
    if len(texts) == 1:
        prepare_folder(path.parent)
        write_text(path, texts[0][1])
        return [path]
    prepare_folder(path)
    written = []
    for stem, (_, text) in zip(_stems([name for name, _ in texts]), texts, strict=True):
        written.append(path / f"{stem}.{ending}")
        write_text(written[-1], text)
    return written


def _stems(names: Sequence[str]) -> list[str]:
    """Names of files, each of its own: ids such as a.1 and a.2 differ in what looks like an ending."""
    whole = [name.replace("/", "_") for name in names]
    stems = [Path(name).stem or "recording" for name in whole]
    numbered = [f"{row}_{name}" for row, name in enumerate(whole, start=1)]
    return next(one for one in (stems, whole, numbered) if len({*one}) == len(names))


def _intervals(words: Sequence[Word], seconds: float) -> list[tuple[float, float, str]]:
    """Begin, end and text of intervals from 0 to the end, without gaps or overlaps."""
    intervals: list[tuple[float, float, str]] = []
    last = 0.0
    for word in words:
        if word.begin > last:
            intervals.append((last, word.begin, ""))
        intervals.append((max(word.begin, last), word.end, word.text))
        last = word.end
    return [*intervals, (last, seconds, "")] if seconds > last else intervals


def _subtitles(segments: Sequence[Segment]) -> list[tuple[float, float, str]]:
    """Begin, end and text of each subtitle: at most two lines, and at most `_SUBTITLE` seconds where words allow it."""
    subtitles: list[tuple[float, float, str]] = []
    for segment in segments:
        group: list[Word] = []
        for word in segment.words:
            length = sum(len(one.text) + 1 for one in group) + len(word.text)
            if group and (length > 2 * _LINE or word.end - group[0].begin > _SUBTITLE):
                subtitles.append((group[0].begin, group[-1].end, _lines(group)))
                group = []
            group.append(word)
        if group:
            subtitles.append((group[0].begin, group[-1].end, _lines(group)))
    # A short one stays a little, but not over the next.
    following = [*(begin for begin, _, _ in subtitles), float("inf")][1:]
    return [
        (begin, max(end, min(begin + _SHORTEST, after)), text)
        for (begin, end, text), after in zip(subtitles, following, strict=True)
    ]


def _lines(words: Sequence[Word]) -> str:
    """The words on one line, or on two of similar length."""
    text = " ".join(word.text for word in words)
    spaces = [k for k, character in enumerate(text) if character == " "]
    if len(text) <= _LINE or not spaces:
        return text
    middle = min(spaces, key=lambda k: abs(2 * k - len(text)))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
