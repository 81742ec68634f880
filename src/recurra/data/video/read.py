"""Read clips from a folder, a table, files or arrays."""

import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.delimited import delimited_rows
from recurra.data.files.standard_input import is_standard_input
from recurra.data.files.text_file import check_file, read_text
from recurra.data.video.clips import Clip, Clips, LabelSpan
from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.landmark_files import ENDINGS, read_frame_labels, read_landmarks, read_sensors
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.video_files import VIDEOS, check_video, image_files
from recurra.errors import DataError, ParameterError

__all__ = ["read_clips"]

# By attribute, the names that columns have.
_NAMES = {
    "file": ("file", "path", "filename", "file_name", "clip", "video"),
    "label": ("label", "class", "action"),
    "start": ("start", "start_seconds"),
    "end": ("end", "end_seconds"),
    "subject": ("subject", "person", "actor", "speaker"),
    "part": ("part", "split", "set"),
    "sensors": ("sensors", "inertial"),
}
_EPSILON = 1e-6  # seconds
_LONGEST = 10_000_000  # seconds: of what is later no container tells the time
_PUBLISHED = re.compile(r"(a\d+)_(s\d+)_[te]\d+(?:_skeleton)?$")


def read_clips(
    data: Any,
    labels: Sequence[Any] | None = None,
    rate: float = 30.0,
    subjects: Sequence[str] = (),
    part: str | None = None,
    by_frame: bool = False,
) -> Clips:
    """Read clips, or whole recordings with what happens when.

    Args:
        data: a folder with a subfolder of recordings for each label, or of files named as those of UTD-MHAD and MSR
            Action3D (`a1_s1_t1_skeleton.mat`: label a1, subject s1, with `a1_s1_t1_inertial.mat` as its sensors); a
            table (CSV, TSV) with columns `file` and `label`, and perhaps `start` and `end` in seconds, `subject`,
            `part` and `sensors`, where an array of an archive is `archive.npz#array`; one recording; a list of paths,
            arrays (T, J, D) or `Landmarks`; or what this function returned. Recordings are files of landmarks, see
            `read_landmarks`; videos, see `shown_frames`; or folders of the images of a video.
        labels: of each item of a list. None: they are not known.
        rate: frames a second of landmarks without times, and of folders of images.
        subjects: whose clips are taken; none named: everybody's.
        part: whose clips are taken of a table that is divided into parts.
        by_frame: whether the clips are whole recordings, and a table's rows of one file say what happens when, as a
            column `label` of a table of landmarks does; `labels` are then sequences of (label, start, end) in seconds.

    Raises:
        DataError: the data cannot be used. The message names file and line.
        ParameterError: a combination has no meaning.
    """
    if isinstance(data, str | Path):
        if labels is not None:
            raise ParameterError("y", "None with a path, whose folders or table have the labels", type(labels).__name__)
        if is_standard_input(data):
            raise DataError(
                "-: videos and landmarks are not read from standard input. Name a file, a folder or a table."
            )
        clips = _read(Path(data), rate, tuple(subjects), part, by_frame)
        return replace(clips, items=tuple(map(_with_frame_labels, clips))) if by_frame else clips
    if isinstance(data, Clips):
        if labels is not None:
            raise ParameterError("y", "None with clips, which have them", type(labels).__name__)
        return data
    items = [data] if isinstance(data, Landmarks | VideoSpan) else list(data)
    if labels is not None and len(labels) != len(items):
        raise DataError(f"the data: {len(items)} clips and {len(labels)} labels; give one for each")
    clips = []
    for k, item in enumerate(items):
        where, name, recording = f"the data, item {k + 1}", str(k + 1), ""
        if isinstance(item, str | Path):
            name = where = recording = str(item)
            item = _recording(str(item), Path(), rate)
        elif not isinstance(item, Landmarks | VideoSpan):
            item = Landmarks.of(np.asarray(item), None, rate, where)
        clip = Clip(name, item, where=where, recording=recording)
        if by_frame:
            clip = _with_frame_labels(clip if labels is None else replace(clip, spans=_ordered(labels[k], where)))
        elif labels is not None:
            clip = replace(clip, label=str(labels[k]))
        clips.append(clip)
    return Clips(tuple(clips), "the data")


def _read(path: Path, rate: float, subjects: tuple[str, ...], part: str | None, by_frame: bool) -> Clips:
    rows = None
    if path.is_dir():
        clips, parts = list(_folder(path, rate)), None
    elif path.suffix.lower() in VIDEOS:
        clips, parts = [_alone(path.name, _recording(str(path), Path(), rate), path)], None
    elif check_file(path).suffix.lower() in (".csv", ".tsv", ".txt") and (rows := _table(path)) is not None:
        parts = sorted({row["part"] for row, _ in rows if row.get("part")})
        if parts and part is None:
            raise DataError(f"{path}: it is divided into parts, {', '.join(parts)}. Choose one with --part.")
        chosen = _chosen(rows, subjects, part)
        if by_frame:
            clips = _whole(chosen, path.parent, rate)
        else:
            clips = [_clip(row, where, path.parent, rate) for row, where in chosen]
    else:
        clips, parts = _file(path, rate), None
    if part is not None and not parts:
        raise DataError(f"{path}: nothing there says which part a clip belongs to; leave out --part.")
    known = {one.subject for one in clips if one.subject} if rows is None else {row.get("subject") for row, _ in rows}
    if subjects:
        clips = [one for one in clips if one.subject in subjects]
    if not clips:
        chosen = "".join([f" of subjects {', '.join(subjects)}" * bool(subjects), f" of part {part}" * bool(part)])
        there = f"; there are {', '.join(sorted(filter(None, known)))}" if subjects and any(known) else ""
        raise DataError(f"{path}: no clips{chosen}{there}.")
    return Clips(tuple(clips), str(path))


def _chosen(
    rows: list[tuple[Mapping[str, str], str]], subjects: tuple[str, ...], part: str | None
) -> Iterator[tuple[Mapping[str, str], str]]:
    """The rows of a part and of some subjects: the files of others need not be there."""
    for row, where in rows:
        if part is None or row.get("part") == part:
            if subjects and not row.get("subject"):
                raise DataError(f"{where}: no subject is named, which --subjects asks for.")
            if not subjects or row["subject"] in subjects:
                yield row, where


def _table(path: Path) -> list[tuple[Mapping[str, str], str]] | None:
    """The rows of a table of clips by attribute, each with its place; None: it is no such table."""
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=first.count)
    names = [name.strip().strip('"').lower() for name in first.split(delimiter)]
    if not set(names).intersection(_NAMES["file"]):
        return None
    table = delimited_rows(text, delimiter, str(path))
    columns = {
        attribute: next((names.index(name) for name in known if name in names), None)
        for attribute, known in _NAMES.items()
    }
    return [
        (
            {name: row[k].strip() for name, k in columns.items() if k is not None and row[k].strip()},
            f"{path}, line {line}",
        )
        for row, line in zip(table.rows, table.lines, strict=True)
    ]


def _clip(row: Mapping[str, str], where: str, folder: Path, rate: float) -> Clip:
    if "file" not in row:
        raise DataError(f"{where}: no file is named.")
    start, end = _span(row, where)
    try:
        content = _recording(row["file"], folder, rate)
        if isinstance(content, VideoSpan):
            if "sensors" in row:
                raise DataError(f"{row['file']}: sensors stand beside landmarks, and this is a video.")
            content = content.between(start, end)
        else:
            if "sensors" in row:
                sensors = read_sensors(*_path_and_member(row["sensors"], folder))
                content = Landmarks.of(content.points, content.times, rate, row["file"], sensors)
            content = content.between(start, end, row["file"])
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    name = row["file"] if start is None else f"{row['file']}@{start:g}"
    return Clip(name, content, row.get("label"), row.get("subject"), where, str(folder / row["file"]))


def _whole(rows: Iterable[tuple[Mapping[str, str], str]], folder: Path, rate: float) -> list[Clip]:
    """A clip for each recording that rows name, with their labels in time."""
    named: dict[tuple[str, str], list[tuple[Mapping[str, str], str]]] = {}
    for row, where in rows:
        named.setdefault((row.get("file", ""), row.get("sensors", "")), []).append((row, where))
    clips = []
    for own in named.values():
        row, where = own[0]
        spans = [(one["label"], *_span(one, at)) for one, at in own if "label" in one]
        recording = {name: value for name, value in row.items() if name in ("file", "sensors", "subject")}
        clip = _clip(recording, where, folder, rate)
        clips.append(replace(clip, spans=_ordered(spans, where)) if spans else clip)
    return clips


def _ordered(spans: Iterable[Sequence[Any]], where: str) -> tuple[LabelSpan, ...]:
    """Spans (label, start, end) in order, None for the beginning or the end. Raises DataError: they overlap."""
    try:
        named = [
            LabelSpan(str(label), 0.0 if start is None else float(start), math.inf if end is None else float(end))
            for label, start, end in spans
        ]
    except (TypeError, ValueError):
        raise DataError(
            f"{where}: labels in time are (label, start, end), with seconds or None for the last two."
        ) from None
    ordered = sorted(named, key=lambda one: one.start)
    for one, other in pairwise(ordered):
        if other.start < one.end - _EPSILON:
            raise DataError(
                f"{where}: {other.label!r} from {other.start:g} s begins before {one.label!r} ends, at {one.end:g} s, "
                "and a frame has one label."
            )
    return tuple(ordered)


def _with_frame_labels(clip: Clip) -> Clip:
    """The same with the labels of a column of its table of landmarks, if it has one and nothing else says them."""
    path = Path(clip.recording)
    if clip.spans is not None or not clip.recording or not isinstance(clip.content, Landmarks) or not path.is_file():
        return clip
    labels, times = read_frame_labels(path), [*clip.content.times.tolist(), math.inf]
    if labels is None:
        return clip
    edges = [0, *(k + 1 for k, (one, other) in enumerate(pairwise(labels)) if one != other), len(labels)]
    spans = (LabelSpan(labels[first], times[first], times[last]) for first, last in pairwise(edges))
    return replace(clip, spans=tuple(one for one in spans if one.label))


def _span(row: Mapping[str, str], where: str) -> tuple[float | None, float | None]:
    """The start and the end that a row names, in seconds. Raises DataError."""
    start, end = (_seconds(row.get(name), name, where) for name in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise DataError(f"{where}: end is {end:g} s, expected more than the start, {start or 0:g} s.")
    return start, end


def _alone(name: str, content: Landmarks | VideoSpan, path: Path) -> Clip:
    """A recording in a file, of which nothing else is known."""
    return Clip(name, content, where=str(path), recording=str(path))


def _recording(file: str, folder: Path, rate: float) -> Landmarks | VideoSpan:
    path, member = _path_and_member(file, folder)
    if path.is_dir():
        images = len(image_files(path))
        check_video(path)
        return VideoSpan(path, images / rate, rate)
    if path.suffix.lower() in VIDEOS:
        return VideoSpan(path, check_video(path))
    if path.suffix.lower() not in ENDINGS:
        raise DataError(
            f"{path}: recordings are files ending in {', '.join((*VIDEOS, *ENDINGS))}, or folders of images."
        )
    return read_landmarks(path, member, rate)


def _path_and_member(file: str, folder: Path) -> tuple[Path, str | None]:
    whole = folder / file
    if "#" not in file or whole.exists():
        return whole, None
    name, _, member = file.rpartition("#")
    return folder / name, member


def _seconds(value: str | None, name: str, where: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST:
        raise DataError(f"{where}: {name} is {value!r}, expected seconds from 0 to {_LONGEST:,}.")
    return number


def _file(path: Path, rate: float) -> list[Clip]:
    """The recording of a file, or those of an archive whose arrays are recordings."""
    if path.suffix.lower() == ".npz" and zipfile.is_zipfile(path):
        try:
            with np.load(path, allow_pickle=False) as content:
                names = content.files
                several = len(names) > 1 and all(content[name].ndim == 3 for name in names[:2])
        except Exception:  # what is wrong is said below
            several, names = False, []
        if several:
            return [Clip(name, read_landmarks(path, name, rate), None, None, f"{path}#{name}") for name in names]
    return [_alone(path.name, read_landmarks(path, None, rate), path)]


def _folder(folder: Path, rate: float) -> Iterator[Clip]:
    paths: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        own = [Path(parent, name) for name in sorted(names) if not name.startswith((".", "_"))]
        recordings = [path for path in own if path.suffix.lower() in (*ENDINGS, *VIDEOS)]
        # A folder of nothing but images is a video.
        paths += recordings if recordings or not image_files(Path(parent)) else [Path(parent)]
    if not paths:
        known = ", ".join((*ENDINGS, *VIDEOS))
        raise DataError(f"{folder}: no clips in this folder; recordings end in {known}, or are folders of images.")
    if paths == [folder]:
        yield _alone(folder.name, _recording(str(folder), Path(), rate), folder)
        return
    there = {path.stem: path for path in paths}
    paths = [path for path in paths if not path.stem.endswith("_inertial")]
    alone = next((path for path in paths if path.parent == folder and not _PUBLISHED.match(path.stem)), None)
    if alone is not None and any(path.parent != folder for path in paths):
        raise DataError(
            f"{folder}: recordings are in subfolders, one for each label, and {alone.name} is in none. Move it."
        )
    for path in paths:
        published = _PUBLISHED.match(path.stem)
        subfolder = path.relative_to(folder).parts[0] if path.parent != folder else None
        label, subject = published.groups() if published else (subfolder, None)
        content = _recording(str(path), Path(), rate)
        sensors = there.get(path.stem.removesuffix("_skeleton") + "_inertial")
        if published and sensors is not None and isinstance(content, Landmarks):
            values = read_sensors(sensors, None)
            content = Landmarks.of(content.points, content.times, rate, str(sensors), values)
        yield Clip(path.relative_to(folder).as_posix(), content, label, subject, str(path), str(path))
