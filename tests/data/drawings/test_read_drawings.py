import gzip
import io
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.cli.main import main
from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.read import read_drawing, read_drawings
from recurra.data.drawings.strokes import lines_of
from recurra.errors import DataError

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
DOTS = [[1, 2, 0], [3, 4, 1], [5, 6, 1]]


def object_array(arrays: list[Any]) -> np.ndarray:
    made = np.empty(len(arrays), dtype=object)
    made[:] = arrays
    return made


def write_npz(path: Path, **parts: list[Any]) -> Path:
    np.savez(path, **{name: object_array(arrays) for name, arrays in parts.items()})  # pyright: ignore[reportArgumentType]
    return path


def npz_with_pickle(path: Path, content: bytes) -> Path:
    """An .npz file whose array `train` has a pickle of one's choice."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("train.npy", member.getvalue() + content)
    return path


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


def test_the_parts_of_sketch_rnn_files(tmp_path: Path) -> None:
    strokes = np.array(DOTS, dtype=np.int16)
    path = write_npz(tmp_path / "sheep.npz", train=[strokes, strokes[1:]], valid=[strokes[2:]], test=[strokes[:1]])
    drawings = read_drawings(path)
    assert drawings.parts == ("train", "train", "validation", "test")
    assert set(drawings.labels) == {"sheep"}
    assert [len(drawings.part(part)) for part in ("train", "validation", "test")] == [2, 1, 1]
    np.testing.assert_array_equal(drawings.part("train").strokes[0], DOTS)
    # A single part is not divided, and a file with parts does not go together with one without.
    alone = read_drawings(write_npz(tmp_path / "one.npz", train=[strokes]))
    assert alone.parts == ()
    assert alone.used_for("test") is alone
    with pytest.raises(DataError, match="has parts to train"):
        read_drawings([path, tmp_path / "one.npz"])
    with pytest.raises(DataError, match=r"single|part"):
        alone.part("test")


def test_a_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"touch"):
        read_drawings(npz_with_pickle(tmp_path / "a.npz", pickle.dumps(Harm())))
    assert not (tmp_path / "harmed").exists()


def test_quick_draw_simplified_and_raw(tmp_path: Path) -> None:
    simple = {"word": "cat", "drawing": [[[0, 10, 20], [5, 5, 0]], [[7], [8]]]}
    raw = {"word": "dog", "drawing": [[[0, 50, 100, 200], [0, 0.5, 0, 0], [0, 1, 2, 3]]]}
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, [simple, raw])).encode()))
    drawings = read_drawings(path)
    assert drawings.labels == ("cat", "dog")
    # The first point is the origin; a line of one point is a dot.
    np.testing.assert_array_equal(drawings.strokes[0], [[10, 0, 0], [10, -5, 1], [-13, 8, 1]])
    # The raw one is scaled to 255, and the point near the line is left out.
    np.testing.assert_allclose(drawings.strokes[1], [[255, 0, 1]], atol=1e-4)
    np.testing.assert_allclose(read_drawings(path, epsilon=0).strokes[1][:, :2].sum(0), [200, 0], atol=1e-4)


SVG = """<svg xmlns="http://www.w3.org/2000/svg"><defs><path d="M0 0L9 9"/></defs>
<g transform="translate(10 20) scale(2)"><path d="M0 0 h10 v10 h-10 z m 2,2 1-1"/></g>
<polyline points="0,0 5,5"/><polygon points="0 0 4 0 0 3"/><line x2="3" y2="4"/><rect width="2px" height="3"/>
<circle r="5" cx="1"/><path style="display: none" d="M0 0 1 1"/></svg>"""


def test_svg_shapes_and_transforms(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG)
    lines = read_drawing(tmp_path / "a.svg").lines
    np.testing.assert_allclose(lines[0], [[10, 20], [30, 20], [30, 40], [10, 40], [10, 20]])
    np.testing.assert_allclose(lines[1], [[14, 24], [16, 22]])
    np.testing.assert_allclose(lines[2], [[0, 0], [5, 5]])
    np.testing.assert_allclose(lines[3], [[0, 0], [4, 0], [0, 3], [0, 0]])
    np.testing.assert_allclose(lines[4], [[0, 0], [3, 4]])
    np.testing.assert_allclose(lines[5], [[0, 0], [2, 0], [2, 3], [0, 3], [0, 0]])
    np.testing.assert_allclose(np.hypot(*(lines[6] - [1, 0]).T), 5)
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("path", "through"),
    [
        # A quarter of a circle, either way round; the middle of a cubic and of a smooth quadratic curve.
        ("M 1 0 A 1 1 0 0 1 0 1", (np.sqrt(0.5), np.sqrt(0.5))),
        ("M 1 0 A 1 1 0 0 0 0 1", (1 - np.sqrt(0.5), 1 - np.sqrt(0.5))),
        ("M 1 0 A 1 1 0 1 1 0 1", (1 + np.sqrt(0.5), 1 + np.sqrt(0.5))),
        ("M 0 0 C 0 4 4 4 4 0", (2, 3)),
        ("M 0 0 q 2 4 4 0 t 4 0", (6, -2)),
        ("M 0 0 c 0 4 4 4 4 0 s 4 -4 4 0", (6, -3)),
    ],
)
def test_svg_curves(path: str, through: tuple[float, float], tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(f'<svg><path d="{path}"/></svg>')
    line = read_drawing(tmp_path / "a.svg").lines[0]
    assert np.hypot(*(line - through).T).min() < 1e-6


def test_ink_ml_and_tables(tmp_path: Path) -> None:
    ink = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>10 0 5, 9 14 6</trace><trace>1 2</trace></ink>'
    (tmp_path / "a.inkml").write_text(ink)
    first, second = read_drawing(tmp_path / "a.inkml").lines
    np.testing.assert_array_equal(first, [[10, 0], [9, 14]])
    np.testing.assert_array_equal(second, [[1, 2]])
    (tmp_path / "a.csv").write_text("drawing,stroke,x,y,label\n1,1,0,0,up\n1,1,0,9,up\n1,2,1,1,up\n2,1,5,5,down\n")
    drawings = read_drawings(tmp_path / "a.csv", epsilon=0)
    assert drawings.labels == ("up", "down")
    np.testing.assert_array_equal(drawings.strokes[0], [[0, 9, 1], [1, -8, 1]])
    np.testing.assert_array_equal(drawings.strokes[1], [[0, 0, 1]])


def test_the_subfolders_of_a_folder_are_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label, size in (("big", 9), ("small", 1)):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.svg").write_text(f'<svg><path d="M0 0 {size} 0 {size} {size}"/></svg>')
    (tmp_path / "big" / "b.svg").write_text('<svg><path d="M0 0 0 9"/></svg>')
    drawings = read_drawings(tmp_path)
    assert drawings.labels == ("big", "big", "small")
    assert read_drawings(drawings.files).digest() == drawings.digest()
    with caplog.at_level(logging.WARNING):
        assert len(read_drawings(tmp_path, max_points=1)) == 1
    assert "2 drawings" in caplog.text
    with pytest.raises(DataError, match="max_points"):
        read_drawings(tmp_path / "small", max_points=1)


BROKEN = {
    "empty.npz": b"",
    "text.npz": b"not a zip archive",
    "cut.ndjson": b'{"word": "cat", "drawing": [[[0, 1',
    "no_drawing.ndjson": b'{"word": "cat"}',
    "no_strokes.ndjson": b'{"drawing": []}',
    "uneven.ndjson": b'{"drawing": [[[0, 1], [2]]]}',
    "words.ndjson": b'{"drawing": [["ab", "cd"]]}',
    "named.ndjson": b'{"drawing": [{"x": [0, 1], "y": [0, 1]}]}',
    "cut.svg": b"<svg><path d='M0 0",
    "page.svg": b"<html><body/></html>",
    "no_shape.svg": b"<svg><text>hello</text></svg>",
    "path.svg": b"<svg><path d='M 0 0 L 1'/></svg>",
    "no_move.svg": b"<svg><path d='L 1 1'/></svg>",
    "number.svg": b"<svg><line x1='one'/></svg>",
    "transform.svg": b"<svg><g transform='spin(3)'><path d='M0 0 1 1'/></g></svg>",
    "deep.svg": b"<svg>" + b"<g>" * 2000 + b"<line x2='1'/>" + b"</g>" * 2000 + b"</svg>",
    "entities.svg": b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>',
    "none.inkml": b"<ink></ink>",
    "difference.inkml": b"<ink><trace>10 0, '1 '2</trace></ink>",
    "column.csv": b"drawing,stroke,x\n1,1,2\n",
    "number.csv": b"drawing,stroke,x,y\n1,1,2,nan\n",
    "apart.csv": b"drawing,stroke,x,y\n1,1,0,0\n2,1,0,0\n1,1,1,1\n",
    "picture.png": b"\x89PNG",
    "far.csv": b"drawing,stroke,x,y\n1,1,0,0\n1,1,1e308,0\n",
    "far.svg": b"<svg><path d='M0 0 1e308 0'/></svg>",
    "far.inkml": b"<ink><trace>0 0, -1e308 1</trace></ink>",
    "far.ndjson": b'{"drawing": [[[0, 1e308], [0, 0]]]}',
    "endless.ndjson": b'{"drawing": [[[0, 1e999], [0, 0]]]}',
    "binary.csv": b"drawing\x00stroke",
    "no_points.csv": b"drawing,stroke,x,y\n",
    "text.ndjson": b'{"text": 3, "drawing": [[[0, 1], [0, 1]]]}',
    "lines.inkml": b"<ink><trace>10, 20</trace></ink>",
    "none.xml": b"<WhiteboardCaptureSession/>",
    "empty.xml": b"<StrokeSet><Stroke/></StrokeSet>",
    "number.xml": b"<StrokeSet><Stroke><Point x='1'/></Stroke></StrokeSet>",
    "far.xml": b"<StrokeSet><Stroke><Point x='1' y='2e39'/></Stroke></StrokeSet>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gives_one_clear_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(DataError) as caught:
        read_drawings(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["empty.npz", "far.csv", "far.ndjson", "deep.svg", "none.inkml", "number.xml"])
def test_nothing_is_written_of_a_broken_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    assert main(["train", "draw", "--data", str(tmp_path / name), "--out", str(tmp_path / "run")]) != 0
    assert capsys.readouterr().err.strip().count("\n") == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other": [np.zeros((2, 3))]}, "arrays are other"),
        ({"train": [np.zeros((2, 2))]}, "drawing 1"),
        ({"train": [np.zeros((2, 3)), np.zeros((0, 3))]}, "drawing 2"),
        ({"train": [np.full((2, 3), np.inf)]}, "finite"),
        ({"train": [np.array([[1e308, 0, 0]])]}, "1e\\+308"),
        ({"train": [np.full((2, 3), 2.0)]}, "pen"),
        ({"train": ["text"]}, "drawing 1"),
        ({"train": []}, "no drawings"),
    ],
)
def test_strokes_that_are_none_are_refused(content: dict[str, list[Any]], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read_drawings(write_npz(tmp_path / "a.npz", **content))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_drawings(npz_with_pickle(tmp_path / "a.npz", pickle.dumps(np.zeros(3))[:-20]))
    for path in (tmp_path / "b.npz", tmp_path / "b.svg", tmp_path / "b.xyz"):
        with pytest.raises(DataError, match="no such file"):
            read_drawings(path)
    with pytest.raises(DataError, match=r"standard input: drawings are read from files that end in .npz"):
        read_drawings("-")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no drawings in this folder"):
        read_drawings(tmp_path / "folder")
    with pytest.raises(DataError, match="expected a single drawing"):
        read_drawing(tmp_path / "a.npz")


def test_a_digest_tells_drawings_apart() -> None:
    strokes = np.array(DOTS, dtype=np.float32)
    one = Drawings("a", (strokes, strokes[1:]), ("x", "x"))
    assert one.digest() == Drawings("b", (strokes.copy(), strokes[1:]), ("x", "x")).digest()
    others = [
        Drawings("a", (strokes[1:], strokes), ("x", "x")),
        Drawings("a", (strokes, strokes[1:]), ("x", "y")),
        Drawings("a", (strokes * 2, strokes[1:]), ("x", "x")),
        Drawings("a", (strokes, strokes[1:]), ("x", "x"), texts=("v", "l")),
        Drawings("a", (strokes, strokes[1:]), ("x", "x"), texts=("l", "v")),
    ]
    assert len({one.digest(), *(other.digest() for other in others)}) == 6
    assert [len(line) for line in lines_of(one.strokes[0])] == [3, 1]
