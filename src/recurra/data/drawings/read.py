"""Read drawings from whatever files hold them."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.iam_on_db import read_iam_on_db
from recurra.data.drawings.ink_ml import read_ink_ml
from recurra.data.drawings.lined_drawing import LinedDrawing
from recurra.data.drawings.points_table import read_points
from recurra.data.drawings.quick_draw import read_quick_draw
from recurra.data.drawings.sketch_rnn import read_sketch_rnn
from recurra.data.drawings.svg_file import read_svg
from recurra.data.files.standard_input import refuse_standard_input
from recurra.errors import DataError

__all__ = ["ENDINGS", "read_drawing", "read_drawings"]

_log = logging.getLogger("recurra.data")

_ONE_EACH = {".svg": lambda path: LinedDrawing(read_svg(path)), ".inkml": read_ink_ml, ".xml": read_iam_on_db}
_TABLES = (".csv", ".tsv")
ENDINGS = (".npz", ".ndjson", *_ONE_EACH, *_TABLES)
"""The endings of the files that are read, in lower case; all but .npz may be followed by .gz."""

_EPSILON = 2.0


def read_drawings(
    paths: str | Path | Sequence[str | Path], epsilon: float | None = None, max_points: int | None = None
) -> Drawings:
    """Read the drawings of files and folders.

    The class of a drawing is what its file says of it; of a file that does not, the subfolder that it is in, or else
    the file's name (of an .svg or .inkml file in no subfolder, and of an .xml file: none).

    Args:
        paths: files, or folders of them, whose subfolders are classes.
        epsilon: of the simplification, in 255ths of the longer side of a drawing, and of handwriting in 255ths of its
            `text_size`; 0: none. None: 2 for SVG, InkML, tables of points and raw drawings, and none for files whose
            drawings are simplified already.
        max_points: drawings with more are left out, which is logged. None: no limit.

    Raises:
        DataError: a file is missing or damaged, or has an unknown ending; a folder holds no drawings; some files are
            divided into parts and others are not; every drawing has too many points.
    """
    sources = [paths] if isinstance(paths, str | Path) else list(paths)
    for one in sources:
        refuse_standard_input(one, f"drawings are read from files that end in {', '.join(ENDINGS)}, or folders of such")
    files = [pair for one in sources for pair in _files(Path(one))]
    read = [_read(path, label, epsilon) for path, label in files]
    # Read again, a folder gives the same classes, which its files alone do not.
    drawings = replace(Drawings.joined(read, ", ".join(map(str, sources))), files=tuple(map(str, sources)))
    if max_points is not None:
        drawings, left_out = drawings.at_most(max_points)
        if left_out:
            _log.warning("%s: %s drawings have more than %s points and are left out (max_points)", drawings.source,
                         f"{left_out:,}", max_points)  # fmt: skip
    return drawings


def read_drawing(path: str | Path) -> LinedDrawing:
    """The single drawing of an .svg, .inkml, .xml, .csv or .tsv file, as it is in the file.

    Raises:
        DataError: the file is missing, damaged, of another kind, or holds several drawings.
    """
    path = Path(path)
    ending = _ending(path)
    if ending in _ONE_EACH:
        return _ONE_EACH[ending](path)
    if ending in _TABLES:
        drawings = read_points(path)
        if len(drawings) > 1:
            raise DataError(f"{path}: {len(drawings)} drawings, expected one.")
        return drawings[0]
    raise DataError(f"{path}: expected a single drawing, a file ending in {', '.join(_ONE_EACH)}, .csv or .tsv.")


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """The files of a path, each with the class that its folder gives it."""
    if not path.is_dir():
        yield path, ""
        return
    count = 0
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        label = Path(parent).relative_to(path).parts[:1]
        for name in sorted(names):
            if not name.startswith((".", "_")) and _ending(Path(name)) in ENDINGS:
                count += 1
                yield Path(parent, name), label[0] if label else ""
    if not count:
        raise DataError(f"{path}: no drawings in this folder; drawings are files ending in {', '.join(ENDINGS)}.")


def _read(path: Path, label: str, epsilon: float | None) -> Drawings:
    ending = _ending(path)
    if ending == ".npz":
        return _labelled(read_sketch_rnn(path), label)
    if ending == ".ndjson":
        return read_quick_draw(path, epsilon)
    if ending in _TABLES:
        name = label or path.name.partition(".")[0]
        return _of_lines([one._replace(label=one.label or name) for one in read_points(path)], path, epsilon)
    if ending in _ONE_EACH:
        # The folders of IAM-OnDB are forms.
        return _of_lines([_ONE_EACH[ending](path)._replace(label="" if ending == ".xml" else label)], path, epsilon)
    if not path.exists():
        raise DataError(f"{path}: no such file. Check the path.")
    raise DataError(f"{path}: drawings are files ending in {', '.join(ENDINGS)}, or a folder of them.")


def _of_lines(drawings: list[LinedDrawing], path: Path, epsilon: float | None) -> Drawings:
    strokes = tuple(one.strokes(_EPSILON if epsilon is None else epsilon) for one in drawings)
    texts = tuple(one.text for one in drawings)
    return Drawings(str(path), strokes, tuple(one.label for one in drawings), texts=texts if any(texts) else ())


def _labelled(drawings: Drawings, label: str) -> Drawings:
    """Drawings whose class is the subfolder that their file is in, if it is in one."""
    if not label:
        return drawings
    return replace(drawings, labels=(label,) * len(drawings))


def _ending(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix
