"""Kaldi's data folders: wav.scp, text, segments, utt2spk."""

from collections.abc import Iterator
from pathlib import Path

from recurra.data.audio.utterances import Utterance, Utterances
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["is_kaldi_folder", "read_kaldi_folder"]


def is_kaldi_folder(folder: Path) -> bool:
    """Whether there is a `wav.scp`."""
    return (folder / "wav.scp").is_file()


def read_kaldi_folder(folder: Path) -> Utterances:
    """Read the utterances of a folder: those of `segments`, or else the recordings of `wav.scp`.

    `text` and `utt2spk` may be missing. Relative paths begin at the folder; if the first file is not there, at the
    current folder, as in Kaldi.

    Raises:
        DataError: a line is damaged, names an utterance twice or an unknown recording, or pipes from a command.
    """
    recordings = _table(folder / "wav.scp", "a recording's id and its file")
    for where, value in recordings.values():
        if value.endswith("|") or value.startswith("|"):
            raise DataError(
                f"{where}: a command ({value[:40]!r}) is not run, as a list of data must not execute programs. Write "
                "its output to a file and name the file."
            )
        if _ark_position(value):
            raise DataError(f"{where}: {value!r} lies in an archive; copy the recordings to files (wav-copy).")
    texts = _table(folder / "text", "an utterance's id and its text", blank=True)
    speakers = _table(folder / "utt2spk", "an utterance's id and its speaker")
    root = _root(folder, [value for _, value in recordings.values()])
    items = []
    for one, recording, offset, duration, where in _segments(folder, recordings):
        text, speaker = texts.get(one), speakers.get(one)
        items.append(
            Utterance(
                one,
                root / recordings[recording][1],
                None if text is None else text[1],
                offset,
                duration,
                None if speaker is None else speaker[1],
                where,
            )
        )
    return Utterances(tuple(items), str(folder))


def _segments(
    folder: Path, recordings: dict[str, tuple[str, str]]
) -> Iterator[tuple[str, str, float | None, float | None, str]]:
    """The utterance, its recording, offset and duration, and its line."""
    path = folder / "segments"
    if not path.is_file():
        yield from ((one, one, None, None, where) for one, (where, _) in recordings.items())
        return
    for one, (where, value) in _table(path, "an utterance, its recording, begin and end").items():
        fields = value.split()
        try:
            recording, begin, end = fields[0], float(fields[1]), float(fields[2])
        except (IndexError, ValueError):
            raise DataError(f"{where}: expected an utterance, its recording, begin and end, got {value!r}.") from None
        if recording not in recordings:
            raise DataError(f"{where}: the recording {recording!r} is not in wav.scp.")
        if end < 0:  # Kaldi's sign for the end of the recording
            yield one, recording, begin, None, where
            continue
        if not 0 <= begin < end:
            raise DataError(f"{where}: the segment begins at {begin:g} s and ends at {end:g} s.")
        yield one, recording, begin, end - begin, where


def _table(path: Path, expected: str, blank: bool = False) -> dict[str, tuple[str, str]]:
    """The line's place in the file and its rest, by its first word. Empty: there is no such file."""
    if not path.is_file():
        return {}
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        first, _, rest = line.strip().replace("\t", " ").partition(" ")
        if not rest.strip() and not blank:
            raise DataError(f"{where}: expected {expected}, got {line!r}.")
        if first in rows:
            raise DataError(f"{where}: {first!r} stands on an earlier line too. Remove one.")
        rows[first] = where, rest.strip()
    return rows


def _ark_position(value: str) -> bool:
    """Whether it names a position in an archive, `file.ark:123`."""
    name, colon, position = value.rpartition(":")
    return bool(colon) and position.isdigit() and name.endswith(".ark")


def _root(folder: Path, files: list[str]) -> Path:
    return Path() if files and not (folder / files[0]).exists() and Path(files[0]).exists() else folder
