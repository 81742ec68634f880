"""Files of landmarks: what is written is read, and what cannot be read is named in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from recurra.data.video.landmark_files import read_landmarks, read_sensors
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.read import read_clips
from recurra.errors import DataError, ParameterError

POINTS = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)


def write_table(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_every_form_gives_the_same_points(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", skeleton=POINTS, times=np.arange(5) / 10, sensors=np.ones((9, 6)))
    np.savez(tmp_path / "b.npz", anything=POINTS)
    np.save(tmp_path / "c.npy", POINTS)
    savemat(str(tmp_path / "d.mat"), {"d_skel": POINTS.transpose(1, 2, 0)})
    savemat(str(tmp_path / "e.mat"), {"pose": POINTS})
    names = ["time", *(f"{joint}_{axis}" for joint in ("hip", "knee", "foot", "Head") for axis in "xyz"), "hip_score"]
    rows = [",".join(map(str, [t / 10, *POINTS[t].ravel(), 0.9])) for t in range(5)]
    write_table(tmp_path / "f.csv", ",".join(names), rows)
    for name in ("a.npz", "b.npz", "c.npy", "d.mat", "e.mat", "f.csv"):
        landmarks = read_landmarks(tmp_path / name, None, 10.0)
        assert np.array_equal(landmarks.points, POINTS), name
        np.testing.assert_allclose(landmarks.times, np.arange(5) / 10, err_msg=name)
        assert (landmarks.sensors is not None) == (name == "a.npz")
    assert np.array_equal(read_landmarks(tmp_path / "a.npz", "skeleton", 10.0).points, POINTS)
    assert read_sensors(tmp_path / "a.npz", "sensors").shape == (9, 6)


def test_points_that_are_missing_are_filled_by_time() -> None:
    points = np.zeros((3, 1, 2))
    points[:, 0, 0] = [0, np.nan, 4]
    points[:, 0, 1] = [np.nan, 5, np.nan]
    landmarks = Landmarks.of(points, np.array([1.0, 2.0, 5.0]), 30.0, "x")
    assert landmarks.times.tolist() == [0, 1, 4]
    assert landmarks.points[:, 0].tolist() == [[0, 5], [1, 5], [4, 5]]


def test_spans_and_beginnings() -> None:
    landmarks = Landmarks.of(
        np.arange(10.0)[:, None, None] * np.ones((1, 2)), None, 10.0, "x", np.arange(28.0)[:, None]
    )
    part = landmarks.between(0.2, 0.5, "x")
    assert part.points[:, 0, 0].tolist() == [2, 3, 4]
    assert part.times.tolist() == pytest.approx([0, 0.1, 0.2])
    assert part.sensors is not None
    assert part.sensors[:, 0].tolist() == list(range(6, 13))
    assert landmarks.beginning(1.0).points.tolist() == landmarks.points.tolist()
    assert len(landmarks.beginning(0.5).points) == 5
    assert len(landmarks.beginning(0.0).points) == 1
    with pytest.raises(DataError, match=r"no frame from 2 s to the end; the recording has 0\.90 s"):
        landmarks.between(2.0, None, "x")


def test_a_table_names_files_spans_subjects_and_parts(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", one=POINTS, two=POINTS + 1)
    np.savez(tmp_path / "imu.npz", one=np.ones((8, 3)), two=np.zeros((9, 3)))
    rows = [
        "all.npz#one,wave,1,train,,,imu.npz#one",
        "all.npz#two,bow,2,train,0.1,0.3,imu.npz#two",
        "missing.npz,bow,3,test,,,",
    ]
    table = write_table(tmp_path / "clips.csv", "file,label,subject,part,start,end,sensors", rows)
    with pytest.raises(DataError, match=r"divided into parts, test, train\. Choose one with --part"):
        read_clips(table)
    clips = read_clips(table, rate=10.0, part="train")
    assert clips.labels == ("wave", "bow")
    assert [one.subject for one in clips] == ["1", "2"]
    assert clips.form == (4, 3, 3)
    assert clips[1].id == "all.npz#two@0.1"
    assert np.array_equal(clips.landmarks[1].points, POINTS[1:3] + 1)
    assert read_clips(table, subjects=("2",), part="train").labels == ("bow",)
    assert clips.digest() != clips.take([0]).digest()
    for faults, message in [
        ({"part": "test"}, r"line 4: .*missing\.npz: no such file"),
        ({"part": "train", "subjects": ("9",)}, "no clips of subjects 9 of part train; there are "),
        ({"part": "dev"}, "no clips of part dev"),
    ]:
        options: dict[str, Any] = faults
        with pytest.raises(DataError, match=message):
            read_clips(table, **options)


def test_folders_of_labels_and_of_published_names(tmp_path: Path) -> None:
    for label in ("wave", "bow"):
        (tmp_path / "own" / label).mkdir(parents=True)
        np.save(tmp_path / "own" / label / "1.npy", POINTS)
    clips = read_clips(tmp_path / "own")
    assert [(one.id, one.label) for one in clips] == [("bow/1.npy", "bow"), ("wave/1.npy", "wave")]
    (tmp_path / "mhad").mkdir()
    for name in ("a1_s1_t1", "a12_s3_t2"):
        savemat(str(tmp_path / "mhad" / f"{name}_skeleton.mat"), {"d_skel": POINTS.transpose(1, 2, 0)})
        savemat(str(tmp_path / "mhad" / f"{name}_inertial.mat"), {"d_iner": np.ones((9, 6))})
    clips = read_clips(tmp_path / "mhad")
    assert [(one.label, one.subject) for one in clips] == [("a12", "s3"), ("a1", "s1")]
    assert clips.form == (4, 3, 6)
    np.save(tmp_path / "own" / "alone.npy", POINTS)
    with pytest.raises(DataError, match=r"alone\.npy is in none"):
        read_clips(tmp_path / "own")


def test_lists_and_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", one=POINTS, two=POINTS[:3])
    assert [one.id for one in read_clips(tmp_path / "all.npz")] == ["one", "two"]
    clips = read_clips([POINTS, Landmarks.of(POINTS, None, 30.0, "x"), f"{tmp_path / 'all.npz'}#two"], [1, "b", "b"])
    assert clips.labels == ("1", "b", "b")
    assert read_clips(clips) is clips
    with pytest.raises(ParameterError, match="y: expected None with a path"):
        read_clips(tmp_path / "all.npz", ["a", "b"])
    with pytest.raises(DataError, match="2 clips and 1 labels"):
        read_clips([POINTS, POINTS], ["a"])
    with pytest.raises(DataError, match=r"item 2: 3 points in 3 dimensions, but .*item 1 has 4 points"):
        read_clips([POINTS, POINTS[:, :3]])


def broken(folder: Path) -> dict[str, str]:
    """Files at fault, and what is said of each."""
    (folder / "text.npz").write_text("no archive")
    np.savez(folder / "two.npz", a=POINTS, b=POINTS)
    np.savez(folder / "shape.npz", points=POINTS[0])
    np.savez(folder / "none.npz", points=POINTS[:0])
    np.savez(folder / "times.npz", points=POINTS, times=np.zeros(5))
    np.savez(folder / "objects.npz", points=np.array([{}], dtype=object))
    np.savez(folder / "nan.npz", points=np.full((2, 1, 2), np.nan))
    np.savez(folder / "sensors.npz", points=POINTS, sensors=np.full((3, 2), np.inf))
    whole = (folder / "two.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mat").write_text("no matrix")
    (folder / "empty.npy").touch()
    write_table(folder / "word.csv", "a_x,a_y", ["1,2", "1,up"])
    write_table(folder / "column.csv", "a_x,a_y,speed", ["1,2,3"])
    write_table(folder / "axis.csv", "a_x,a_y,b_x", ["1,2,3"])
    write_table(folder / "one.csv", "a_x,b_x", ["1,2"])
    write_table(folder / "header.csv", "a_x,a_y", [])
    write_table(folder / "ragged.csv", "a_x,a_y", ["1,2", "1"])
    (folder / "clip.bvh").write_text("HIERARCHY")
    return {
        "text.npz": "not an .npz file",
        "two.npz": "expected one array of points",
        "shape.npz": r"expected numbers \(T, J, 2\)",
        "none.npz": "no frames",
        "times.npz": "5 rising times",
        "objects.npz": "Python objects are not read",
        "nan.npz": "point 1 has no value",
        "sensors.npz": "not finite",
        "cut.npz": "not an .npz file",
        "text.mat": "not a readable .mat file",
        "empty.npy": "is empty",
        "word.csv": "line 3: 'up' is not a number",
        "column.csv": "'speed' is neither",
        "axis.csv": "'b' has no column b_y",
        "one.csv": "no points",
        "header.csv": "no rows",
        "ragged.csv": "line 3: 1 fields",
        "clip.bvh": "files ending in",
        "gone.npz": "no such file",
    }


def test_files_at_fault_are_named_in_a_line(tmp_path: Path) -> None:
    for name, message in broken(tmp_path).items():
        with pytest.raises(DataError, match=message) as caught:
            read_landmarks(tmp_path / name, None, 30.0)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
