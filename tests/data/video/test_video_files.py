"""Videos: frames by their times, small and upright; what is damaged is named in one line; the cache of frames."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from made_videos import grey, write_video
from recurra.data.video.augmentation_options import FrameAugmentation
from recurra.data.video.clips import Clip, Clips
from recurra.data.video.frame_cache import FrameCache, VideoSpan
from recurra.data.video.frames import frames_of_part, thumbnails, varied
from recurra.data.video.read import read_clips
from recurra.data.video.video_files import check_video, frames_at, read_frame, shown_frames
from recurra.errors import DataError

TIMES = (0.0, 0.1, 0.15, 0.4, 0.5, 0.9)
VALUES = (20, 60, 100, 140, 180, 220)


def centre(frames: list[tuple[float, np.ndarray]]) -> list[int]:
    return [int(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].mean()) for _, pixels in frames]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rates_go_by_their_times(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, grey(VALUES), TIMES)
    shown = list(shown_frames(path, 32, 30.0))
    assert [time for time, _ in shown] == pytest.approx(TIMES, abs=2e-3)
    assert centre(shown) == pytest.approx(VALUES, abs=6)
    # 4:3 in a square: black above and below, and nothing is cut off.
    assert shown[5][1].shape == (32, 32, 3)
    assert not shown[5][1][:4].any()
    assert shown[5][1][4:28].min() > 150
    evenly = list(frames_at(iter(shown), 10.0))
    assert [time for time, _ in evenly] == pytest.approx(np.arange(10) / 10)
    assert centre(evenly) == pytest.approx([20, 60, 100, 100, 140, 180, 180, 180, 180, 220], abs=6)
    assert centre(list(frames_at(iter(shown), 10.0, end=0.3))) == pytest.approx([20, 60, 100], abs=6)
    # From the middle: the frame shown then, decoded from the key frame before.
    later = list(shown_frames(path, 32, 30.0, start=0.45))
    assert [time for time, _ in later] == pytest.approx([0.45, 0.5, 0.9], abs=2e-3)
    assert centre(later) == pytest.approx([140, 180, 220], abs=6)
    assert 0.5 < check_video(path) < 1.1  # a muxer may leave out how long the last frame is shown


def test_a_long_file_is_read_from_a_key_frame_near_the_start(tmp_path: Path) -> None:
    values = [(3 * k) % 240 for k in range(90)]
    path = write_video(tmp_path / "a.mp4", grey(values), [k / 30 for k in range(90)])
    later = list(shown_frames(path, 16, 30.0, start=2.0))
    assert len(later) == 30
    assert centre(later) == pytest.approx(values[60:], abs=8)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_pictures_that_are_turned_stand_upright(tmp_path: Path, turn: int) -> None:
    pixels = grey([0], 32, 64)[0]
    pixels[:, :16] = 255  # bright at the left
    path = write_video(tmp_path / "a.mp4", [pixels] * 3, [0, 0.1, 0.2], turn=turn)
    shown = next(frame for _, frame in shown_frames(path, 32, 30.0))
    # A quarter clockwise brings what was left to the top.
    upright = np.rot90(shown, turn // 90)
    assert upright[8:24, :6].min() > 200
    assert upright[8:24, 12:].max() < 60
    assert not upright[:6].any()
    assert not upright[26:].any()


@pytest.mark.parametrize("turn", [0, 90])
def test_a_part_of_the_upright_picture(tmp_path: Path, turn: int) -> None:
    pixels = grey([0], 32, 64)[0]
    pixels[:, :16] = 255
    pixels = np.rot90(pixels, -1) if turn else pixels  # upright: a bright top, or a bright left
    path = write_video(
        tmp_path / "a.mp4", [np.ascontiguousarray(np.rot90(pixels, turn // 90))] * 3, [0, 0.1, 0.2], turn=turn
    )
    image = tmp_path / "a.png"
    Image.fromarray(pixels).save(image)
    # A square around the edge between bright and dark, which fills the frame.
    crop = (0.0, 0.125, 1.0, 0.625) if turn else (0.125, 0.0, 0.625, 1.0)
    for shown in (
        next(frame for _, frame in shown_frames(path, 16, 30.0, crop=crop)),
        read_frame(image, 16, "a", crop),
    ):
        sides = (shown[:3], shown[6:]) if turn else (shown[:, :3], shown[:, 6:])
        assert sides[0].min() > 200
        assert sides[1].max() < 60


def test_animations_and_folders_of_images(tmp_path: Path) -> None:
    images = [Image.fromarray(pixels) for pixels in grey(VALUES, 24, 24)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 50, 250, 100, 400, 50])
    shown = list(shown_frames(tmp_path / "a.gif", 16, 30.0))
    assert [time for time, _ in shown] == pytest.approx(TIMES, abs=2e-2)
    assert centre(shown) == pytest.approx(VALUES, abs=3)
    folder = tmp_path / "wave" / "one"
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        image.save(folder / f"{k + 5}.png")  # 5 to 10: the tenth is the last
    shown = list(shown_frames(folder, 16, 5.0))
    assert [time for time, _ in shown] == pytest.approx(np.arange(6) / 5)
    assert centre(shown) == list(VALUES)
    assert not list(shown_frames(folder, 16, 5.0, 2.0))
    clips = read_clips(tmp_path / "wave", rate=5.0)
    assert [(one.id, one.content.seconds) for one in clips] == [("one", 1.2)]


def test_videos_at_fault_are_named_in_a_line(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", grey([k % 250 for k in range(90)]), [k / 30 for k in range(90)])
    content = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    moov = write_video(tmp_path / "whole.mp4", grey(VALUES), TIMES).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(moov[:600])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "none.mp4"), "w") as container:
        container.add_stream("libx264", rate=30)
        container.start_encoding()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (tmp_path / "folder").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_text("no image")
    faults = {
        "cut.mkv": r"cut off: frames end at .* and its header says 3\.0 s",
        "cut.mp4": "not a video that FFmpeg reads, or cut off",
        "text.mp4": "not a video that FFmpeg reads",
        "empty.mp4": "is empty",
        "gone.mp4": "no such file",
        "none.mp4": "no picture|no frame",
        "sound.mp4": "sound and no picture",
        "folder": "no image in this folder",
        "images": r"1\.png: no image, or damaged",
    }
    for name, message in faults.items():
        with pytest.raises(DataError, match=message) as caught:
            list(shown_frames(tmp_path / name, 16, 30.0))
        assert "\n" not in str(caught.value)
    table = tmp_path / "clips.csv"
    table.write_text("file,label\nwhole.mp4,a\nsound.mp4,b\n")
    with pytest.raises(DataError, match=r"clips\.csv, line 3: .*sound and no picture"):
        read_clips(table)


def test_cached_frames_are_those_computed_and_a_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey(VALUES), TIMES)
    span, cache = VideoSpan(path, check_video(path)), FrameCache(10.0, 16, tmp_path / "cache")
    assert FrameCache(10.0, 16, tmp_path / "cache", (0.0, 0.0, 0.5, 1.0)).folder != cache.folder
    expected = np.stack([pixels for _, pixels in frames_at(shown_frames(path, 16, 30.0), 10.0)])
    assert np.array_equal(cache.frames(span), expected)
    [entry] = [one for one in cache.folder.rglob("*") if one.is_file()]
    written = entry.stat().st_mtime_ns
    assert np.array_equal(cache.frames(span), expected)
    assert entry.stat().st_mtime_ns == written
    # A span is an entry of its own, a damaged entry counts as none, and so does that of another content.
    assert len(cache.frames(span.between(0.4, 0.8))) == 4
    entry.write_bytes(b"\0" * 100)
    assert np.array_equal(cache.frames(span), expected)
    write_video(path, grey(VALUES[::-1]), TIMES)
    assert cache.frames(span)[0].max() > 150
    assert cache.prepare([span, span.between(0.1, 0.2)]) == 1
    with pytest.raises(DataError, match="no frame from 5 s to the end"):
        cache.frames(span.between(5.0, None))
    for start, end, message in ((2, 1, "end is 1 s, expected more than the start, 2 s"), ("1e300", 2, "'1e300'")):
        (tmp_path / "clips.csv").write_text(f"file,label,start,end\na.mp4,a,{start},{end}\n")
        with pytest.raises(DataError, match=f"line 2: .*{message}"):
            read_clips(tmp_path / "clips.csv")


def test_what_is_varied() -> None:
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8) + 100
    generator = np.random.default_rng(0)
    same = varied(frames, FrameAugmentation(shift=0, zoom=0, brightness=0), generator)
    assert np.array_equal(same, frames)
    slow = frames_of_part(len(frames), 0, 2.0, generator)
    assert len(slow) == 23
    assert (np.diff(slow) >= 0).all()
    parts = [frames_of_part(len(frames), 5, 1.0, generator) for _ in range(30)]
    assert {len(one) for one in parts} == {5}
    assert len({int(one[0]) for one in parts}) > 3
    moved = varied(frames, FrameAugmentation(shift=0.25, zoom=0, brightness=0), np.random.default_rng(3))
    assert (moved == 0).any()
    assert moved.max() == frames.max()
    bright = varied(frames, FrameAugmentation(shift=0, zoom=0, brightness=0.3), generator)
    assert not np.array_equal(bright, frames)
    # A square grows and shrinks about the middle, in all frames alike.
    square = np.zeros((2, 32, 32, 3), np.uint8)
    square[:, 8:24, 8:24] = 200
    zoomed = [varied(square, FrameAugmentation(shift=0, zoom=0.4, brightness=0), generator) for _ in range(30)]
    assert all(np.array_equal(first, second) for first, second in zoomed)
    sides = [(one[0, 16, :, 0].mean() * 32 / 200, one[0, :, 16, 0].mean() * 32 / 200) for one in zoomed]
    assert 16 / 1.4**1.5 - 0.5 < min(map(min, sides)) < 14
    assert 18 < max(map(max, sides)) < 16 * 1.4**1.5 + 0.5
    assert any(abs(width - height) > 1 for width, height in sides)
    assert all(abs(one[0, :16].astype(int).sum() / one[0, 16:].sum() - 1) < 0.02 for one in zoomed)
    assert thumbnails(frames).shape == (12, 36)
    assert thumbnails(frames)[3] == pytest.approx(103 / 255)


def test_a_recording_of_many_spans_is_read_once_for_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    opened: list[Path] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *rest: (opened.append(self), whole(self, *rest))[1])
    digests = {VideoSpan(path, 9.0).between(k, k + 1).digest() for k in range(5)}
    assert len(digests) == 5
    assert opened == [path]
    monkeypatch.undo()
    path.write_bytes(b"other")
    assert VideoSpan(path, 9.0).between(0, 1).digest() not in digests


@pytest.mark.parametrize("fraction", [0.1, 0.4])
def test_spans_of_one_recording_are_held_out_together(fraction: float) -> None:
    span = VideoSpan(Path("x"), 1.0)
    items = [Clip(str(k), span, "ab"[k % 2], recording=f"r{k // 4}") for k in range(40)]
    items.append(Clip("alone", span, "c", recording="r9"))
    clips = Clips(tuple(items))
    held = clips.held_out(fraction, 0)
    assert len(held) == 40 * fraction
    rest = set(range(41)) - set(held)
    assert not {clips[k].recording for k in held} & {clips[k].recording for k in rest}
    assert "c" in {clips[k].label for k in rest}  # the only one of its label
    assert clips.held_out(fraction, 1) != held
    assert clips.held_out(0.0, 0) == []
