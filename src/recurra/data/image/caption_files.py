"""Files that list images with their captions, images alone, and folders of them."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from recurra.data.files.delimited import delimited_rows
from recurra.data.files.part_names import part_of
from recurra.data.files.text_file import check_file, read_text
from recurra.data.image.caption_archive import CaptionArchive
from recurra.data.image.captioned_images import CaptionedImage, CaptionedImages
from recurra.data.image.pixels import ENDINGS
from recurra.errors import DataError

__all__ = ["read_captions"]

_IMAGE = ("image", "video", "file", "file_name", "filename", "image_path", "path", "image_id")
_CAPTIONS = ("captions", "caption", "text", "texts", "sentence", "sentences", "raw")
_PART = ("split", "part")
_TOKEN = re.compile(r"([^\t]+)#\d+\t(.*)")
_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
_FLICKR_PARTS = {"train": "Flickr_8k.trainImages.txt", "validation": "Flickr_8k.devImages.txt",
                 "test": "Flickr_8k.testImages.txt"}  # fmt: skip


def read_captions(path: str | Path, images: str | Path | None = None, videos: Sequence[str] = ()) -> CaptionedImages:
    """Read images with their captions. Whether the images are there and whole is not checked.

    Args:
        path: JSON lines or a table (CSV, TSV) with an image and a caption, or several, a line; JSON in the layout of
            COCO (`captions_*.json`) or of Karpathy and Fei-Fei 2015 (`dataset_*.json`); Flickr8k's token file, whose
            parts are read from the lists of images beside it; an image, or a folder of images, without captions; a ZIP
            archive with one such file and its images, see `CaptionArchive`.
        images: the folder of the images. None: that of the file, or the folder `images` in it.
        videos: endings of other files that are captioned as images are, alone and in a folder.

    Raises:
        DataError: the file cannot be read or is of another form, or a line is damaged. The message names the line.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, (*ENDINGS, *videos))
    check_file(path)
    if path.suffix.lower() in (*ENDINGS, *videos):
        return CaptionedImages((CaptionedImage(path.name, path),), str(path), files=str(path))
    if path.suffix.lower() == ".zip":
        if images is not None:
            raise DataError(f"{path}: an archive holds its images. Leave the folder of images out (--images).")
        with CaptionArchive(path) as archive:
            return _grouped(_rows(archive.text(), archive.listed), path, archive.image)
    folder = None if images is None else Path(images)
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images. Check the path (--images).")
    folders = [path.parent / name for name in _FOLDERS] if folder is None else [folder]
    return _grouped(_rows(read_text(path), path), path, partial(_file, folders=folders))


def _rows(content: str, path: Path) -> Iterable["_Row"]:
    """The lines of a file that lists images, by its form."""
    first = content.lstrip().split("\n", 1)[0]
    if path.name.lower().removesuffix(".gz").endswith(".json") and not _is_lines(content):
        return _json_rows(content, path)
    if first.startswith("{"):
        return _line_rows(content, path)
    if _TOKEN.fullmatch(first):
        return _token_rows(content, path)
    return _table_rows(content, first, path)


@dataclass
class _Row:
    """A line of a file: an image, with some of its captions."""

    where: str
    name: str
    captions: Sequence[str]
    part: str = ""


@dataclass
class _Group:
    """The rows of one image."""

    where: str
    part: str
    captions: list[str] = field(default_factory=list)


def _grouped(rows: Iterable[_Row], path: Path, image: Callable[[str], Path | bytes]) -> CaptionedImages:
    """An image with the captions of all its rows, in the order of its first one; `image` finds it by its name."""
    groups: dict[str, _Group] = {}
    for row in rows:
        group = groups.setdefault(row.name, _Group(row.where, row.part))
        if group.part != row.part:
            raise DataError(
                f"{row.where}: {row.name} is of the part {row.part or 'none'!r} here, and of {group.part or 'none'!r} "
                f"in {group.where}. An image is of one part."
            )
        group.captions += row.captions
    parts = {group.part for group in groups.values()}
    if len(parts) > 1 and "" in parts:
        name, group = next((name, group) for name, group in groups.items() if not group.part)
        raise DataError(f"{group.where}: {name} states no part, which other images do. State it for all or for none.")
    items = (
        CaptionedImage(name, image(name), tuple(group.captions), group.part, group.where)
        for name, group in groups.items()
    )
    return CaptionedImages(tuple(items), str(path), files=str(path))


def _file(name: str, folders: Sequence[Path]) -> Path:
    """The file in the first folder that has it, or else in the first folder."""
    candidates = [folder / name for folder in folders]
    return next((one for one in candidates if _exists(one)), candidates[0])


def _exists(path: Path) -> bool:
    try:
        return path.exists()  # the frames of a video may be a folder
    except OSError:  # the name is too long
        return False


def _folder(folder: Path, endings: Sequence[str]) -> CaptionedImages:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        raise DataError(f"{folder}: no file in it ends in {', '.join(endings)}.")
    items = tuple(CaptionedImage(path.relative_to(folder).as_posix(), path) for path in files)
    return CaptionedImages(items, str(folder), files=str(folder))


def _is_lines(content: str) -> bool:
    """Whether a text is JSON lines: its first line is an object by itself, and another line follows."""
    first, _, rest = content.lstrip().partition("\n")
    try:
        return isinstance(json.loads(first), dict) and bool(rest.strip())
    except (ValueError, RecursionError):
        return False


def _line_rows(content: str, path: Path) -> Iterator[_Row]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            row = _loaded(line, where)
            if not isinstance(row, dict):
                raise DataError(f"{where}: {line[:40]!r}; expected a JSON object on each line.")
            yield _row(row, where)


def _table_rows(content: str, first: str, path: Path) -> Iterator[_Row]:
    delimiter = max("\t,;", key=first.count)
    names = [name.strip().strip('"') for name in first.split(delimiter)]
    if not set(names).intersection(_IMAGE) or not set(names).intersection(_CAPTIONS):
        raise DataError(
            f"{path}: expected JSON lines, a table whose first line names an image and a caption (as in "
            f"image,caption), COCO's captions_*.json, Flickr8k's token file, or an image, got {first[:60]!r}."
        )
    table = delimited_rows(content, delimiter, str(path))
    for number, row in zip(table.lines, table.rows, strict=True):
        yield _row(dict(zip(table.names, row, strict=True)), f"{path}, line {number}")


def _token_rows(content: str, path: Path) -> Iterator[_Row]:
    parts = {
        name: part
        for part, file in _FLICKR_PARTS.items()
        if (path.parent / file).is_file()
        for name in read_text(path.parent / file).split()
    }
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        match = _TOKEN.fullmatch(line)
        if match is None:
            raise DataError(f"{path}, line {number}: expected IMAGE#NUMBER, a tab and a caption, got {line[:60]!r}.")
        # Images of Flickr8k that no list names are not part of its split.
        if not parts or match[1] in parts:
            yield _Row(f"{path}, line {number}", match[1], [match[2]], parts.get(match[1], ""))


def _json_rows(content: str, path: Path) -> Iterator[_Row]:
    """The layouts of COCO, and of Karpathy and Fei-Fei."""
    values = _loaded(content, str(path))
    images = values.get("images") if isinstance(values, dict) else None
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise DataError(f'{path}: expected JSON with "images" and "annotations", as COCO\'s captions_*.json has.')
    annotations = values.get("annotations")
    if not isinstance(annotations, list):
        for position, one in enumerate(images, start=1):
            yield _row(one, f"{path}, image {position}")
        return
    names = {}
    for position, one in enumerate(images, start=1):
        if not isinstance(one.get("file_name"), str) or "id" not in one:
            raise DataError(f'{path}, image {position}: expected "id" and "file_name".')
        if not isinstance(one["id"], int | str):
            raise DataError(f"{path}, image {position}: the id is {one['id']!r}, expected a number or a text.")
        names[one["id"]] = one["file_name"]
        # An image without an annotation is still one.
        yield _Row(f"{path}, image {position}", one["file_name"], [])
    for position, one in enumerate(annotations, start=1):
        where = f"{path}, annotation {position}"
        if not isinstance(one, dict) or not isinstance(one.get("caption"), str):
            raise DataError(f'{where}: expected "image_id" and "caption".')
        image = one.get("image_id")
        if not isinstance(image, int | str) or image not in names:
            raise DataError(f"{where}: image_id {image!r} is not the id of an image.")
        yield _Row(where, names[image], [_text(one["caption"], where)])


def _row(values: Mapping[str, Any], where: str) -> _Row:
    name = _first(values, _IMAGE)
    if not isinstance(name, str):
        raise DataError(f"{where}: no image is named; expected one of {', '.join(_IMAGE)}.")
    if values.get("filepath"):
        name = f"{values['filepath']}/{name}"
    captions = _first(values, _CAPTIONS)
    listed = [] if captions is None else captions if isinstance(captions, list) else [captions]
    texts = tuple(_text(one.get("raw") if isinstance(one, dict) else one, where) for one in listed)
    return _Row(where, name, texts, _part(_first(values, _PART), where))


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: a caption is {value!r}, expected text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        fault = "a caption has half of a surrogate pair (\\ud800 to \\udfff)"
        raise DataError(f"{where}: {fault}. Remove it.") from None
    return value


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _part(value: Any, where: str) -> str:
    if value is None:
        return ""
    # Karpathy and Fei-Fei call the images of COCO's validation set that they train on "restval".
    part = "train" if value == "restval" else part_of(str(value))
    if part is None:
        raise DataError(f"{where}: the part is {value!r}, expected train, validation (val, dev) or test.")
    return part


def _loaded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}).") from None
