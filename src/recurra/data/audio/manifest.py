"""Manifests, files that list recordings: JSON lines, tables with a header, and the metadata of LJSpeech."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recurra.data.audio.utterances import Utterance, Utterances
from recurra.data.files.delimited import delimited_rows
from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["read_manifest"]

# By attribute, the names that columns and keys have: NeMo's, Common Voice's, and plain ones.
_NAMES = {
    "audio": ("audio_filepath", "audio_path", "audio", "file", "filename", "file_name", "path", "wav"),
    "text": ("text", "sentence", "transcript", "transcription", "label", "command"),
    "duration": ("duration", "seconds"),
    "offset": ("offset",),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "id": ("id", "utt_id", "utterance_id"),
}


def read_manifest(path: Path) -> Utterances | None:
    """Read a manifest; None: the file is of no form that is known.

    Raises:
        DataError: the file cannot be read, or a line is damaged. The message names the line.
    """
    content = read_text(path)
    first = content.lstrip().split("\n", 1)[0]
    if first.startswith("{"):
        return _utterances(path, _json_rows(content, path))
    names = {name.strip().strip('"') for name in first.replace(",", "\t").replace(";", "\t").split("\t")}
    if names.intersection(_NAMES["audio"]):
        delimiter = max("\t,;", key=first.count)
        table = delimited_rows(content, delimiter, str(path))
        rows = (
            (number, dict(zip(table.names, row, strict=True)))
            for number, row in zip(table.lines, table.rows, strict=True)
        )
        is_common_voice = {"path", "sentence"} <= set(table.names) and (path.parent / "clips").is_dir()
        folder = path.parent / "clips" if is_common_voice else path.parent
        return _utterances(path, rows, folder)
    if "|" in first:
        return _utterances(path, _bars(content, path), path.parent / "wavs", _with_ending(path))
    return None


def _utterances(
    path: Path,
    rows: Iterator[tuple[int, Mapping[str, Any]]],
    folder: Path | None = None,
    file_of: Callable[[str], str] = str,
) -> Utterances:
    folder = path.parent if folder is None else folder
    items = []
    for number, row in rows:
        where = f"{path}, line {number}"
        values = {attribute: next((row[name] for name in names if row.get(name) not in (None, "")), None)
                  for attribute, names in _NAMES.items()}  # fmt: skip
        file = values["audio"]
        if not isinstance(file, str):
            raise DataError(f"{where}: no recording is named; expected audio_filepath, path or file.")
        has_text = any(name in row for name in _NAMES["text"])
        offset = _number(values["offset"], "offset", where)
        duration = _number(values["duration"], "duration", where)
        name = str(values["id"]) if values["id"] is not None else f"{file}@{offset:g}" if offset else file
        text = _text(values["text"], where) if values["text"] is not None else "" if has_text else None
        speaker = None if values["speaker"] is None else str(values["speaker"])
        items.append(Utterance(name, folder / file_of(file), text, offset, duration, speaker, where))
    return Utterances(tuple(items), str(path))


def _json_rows(content: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({error}); expected an object on each line.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {line[:40]!r}; expected a JSON object on each line.")
        yield number, row


def _bars(content: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines `id|text` or `id|text|normalised text`, the last of which is taken."""
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            fields = line.split("|")
            if len(fields) not in (2, 3) or not fields[0].strip():
                raise DataError(
                    f"{path}, line {number}: expected id|text or id|text|normalised text, got {line[:60]!r}."
                )
            yield number, {"id": fields[0].strip(), "file": fields[0].strip(), "text": fields[-1] or fields[1]}


def _with_ending(path: Path) -> Callable[[str], str]:
    """The file of an id of LJSpeech: a WAV file, or what the folder of recordings has under that name."""
    folder = path.parent / "wavs"
    files = {one.stem: one.name for one in sorted(folder.iterdir())} if folder.is_dir() else {}
    return lambda name: files.get(name, name if Path(name).suffix else f"{name}.wav")


def _number(value: Any, name: str, where: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < math.inf:
        raise DataError(f"{where}: {name} is {value!r}, expected seconds of at least 0.")
    return number


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{where}: the text is {value!r}, expected text in quotes.")
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the text has half of a surrogate pair (\\ud800 to \\udfff). Remove it.") from None
    return str(value)
