"""Thirty broken files and tables: each is refused in one clear line that names it."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from made_videos import grey, write_video
from recurra.data.video.read import read_clips
from recurra.data.video.video_files import shown_frames
from recurra.errors import DataError

POINTS = np.zeros((4, 3, 2), np.float32)
CSV = "a_x,a_y\n1,2\n3,4\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    frames = grey([k % 250 for k in range(90)], 16, 16)
    return write_video(tmp_path_factory.mktemp("whole") / "a.mkv", frames, [k / 30 for k in range(90)]).read_bytes()


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def content(of: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(of)


def arrays(**named: np.ndarray) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with path.open("wb") as file:  # savez would add an ending
            np.savez(file, **named)  # type: ignore[arg-type]

    return write


def array(one: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.save(path, one)


def without_picture(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def without_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        container.add_stream("libx264", rate=30)
        container.start_encoding()


def folder(*names: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text("neither an image nor a video")

    return write


def beside(rows: str) -> Callable[[Path], object]:
    """A table, and whole landmarks beside it."""

    def write(path: Path) -> None:
        (path.parent / "good.csv").write_text(CSV)
        path.write_text(f"file,label,start,end\n{rows}\n")

    return write


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty.mp4", content(b""), "empty"),
    ("text.mp4", text("no video"), "not a video"),
    ("zeros.avi", content(b"\0" * 2000), "not a video"),
    ("sound.mp4", without_picture, "sound and no picture"),
    ("none.mp4", without_frames, "no picture|no frame"),
    ("page.webm", text("<html>404 Not Found</html>"), "not a video"),
    ("short.gif", content(b"GIF89a\x01\0"), "not a video|damaged|no frame|cut off"),
    ("folder", folder(), "no clips"),
    ("images", folder("1.png", "2.png"), "no image, or damaged"),
    ("mixed", folder("wave/1.mp4", "loose.mp4"), "not a video|is in none"),
    ("empty.npz", content(b""), "empty"),
    ("text.npz", text("no archive"), "not an .npz"),
    ("cut.npz", content(b"PK\x03\x04" + b"\0" * 60), "not an .npz|cannot be read"),
    ("flat.npz", arrays(points=np.zeros((4, 3))), r"expected numbers \(T, J"),
    ("words.npz", arrays(points=np.array([[["a", "b"]]])), "expected numbers"),
    ("several.npz", arrays(a=np.zeros(3), b=np.zeros(4)), "expected one array of points"),
    ("nothing.npz", arrays(points=np.zeros((0, 3, 2))), "no frames"),
    ("never.npz", arrays(points=np.full((4, 3, 2), np.nan)), "has no value in any frame"),
    ("times.npz", arrays(points=POINTS, times=np.array([0.0, 2, 1, 3])), "rising times"),
    ("sensors.npz", arrays(points=POINTS, sensors=np.full((4, 2), np.inf)), "not finite"),
    ("objects.npy", array(np.array([{}], dtype=object)), "Python objects"),
    ("text.npy", text("no array"), "not an .npy"),
    ("names.csv", text("a,b\n1,2\n"), "neither NAME_x"),
    ("lacks.csv", text("a_x,a_y,b_x\n1,2,3\n"), "has no column b_y"),
    ("number.csv", text("a_x,a_y\n1,two\n"), "line 2: 'two' is not a number"),
    ("header.csv", text("a_x,a_y\n"), "no rows"),
    ("text.mat", text("no MATLAB"), r"not a readable \.mat"),
    ("gone.csv", beside("absent.csv,wave,,"), "line 2: .*no such file"),
    ("start.csv", beside("good.csv,wave,2,1"), "line 2: end is 1 s"),
    ("late.csv", beside("good.csv,wave,5,6"), "line 2: .*no frame from 5 s"),
]


@pytest.mark.parametrize(("name", "write", "message"), BROKEN, ids=[name for name, *_ in BROKEN])
def test_a_broken_file_is_named_in_one_line(
    tmp_path: Path, name: str, write: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=message) as caught:
        read_clips(tmp_path / name)
    said = str(caught.value)
    assert "\n" not in said
    assert name in said
    assert len(said) < 400


@pytest.mark.parametrize("part", [0.02, 0.3, 0.5])
def test_a_video_that_is_cut_off_is_refused_wherever_it_ends(tmp_path: Path, video: bytes, part: float) -> None:
    (tmp_path / "cut.mkv").write_bytes(video[: round(part * len(video))])
    with pytest.raises(DataError, match=r"cut off|damaged|no frame") as caught:
        list(shown_frames(tmp_path / "cut.mkv", 16, 30.0))
    assert "cut.mkv" in str(caught.value)
