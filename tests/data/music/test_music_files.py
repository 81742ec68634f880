from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.files.part_names import part_of
from recurra.data.music.midi import read_midi, write_midi
from recurra.data.music.performance import Tracks
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import key_classes, pitch_name
from recurra.data.music.read import read_music
from recurra.errors import ParameterError

pytest.importorskip("symusic")
savemat = pytest.importorskip("scipy.io").savemat

notes = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(21, 108)), min_size=1, max_size=20)
grids = st.builds(Grid, st.sampled_from([1, 3, 4, 24]), st.sampled_from([2.0, 3.0, 4.0, 4.5]), st.just(90.0))


@settings(max_examples=25)
@given(notes, grids)
def test_midi_reads_back_note_for_note(tmp_path_factory: pytest.TempPathFactory, found: list, grid: Grid) -> None:
    path = tmp_path_factory.mktemp("midi") / "one.mid"
    piece = Piece.from_notes("one", np.array([(start, start + length, pitch) for start, length, pitch in found]), grid)
    write_midi(piece, path)
    again = read_midi(path, grid.steps_per_beat)
    assert again.notes.tolist() == piece.notes.tolist()
    assert again.grid.beats_per_bar == grid.beats_per_bar
    assert again.grid.tempo == pytest.approx(grid.tempo, rel=1e-4)


def test_midi_reads_back_tracks_velocities_and_tempi(tmp_path: Path) -> None:
    notes = np.array([[0, 4, 60], [0, 4, 64], [2, 6, 60], [4, 9, 72]])
    tracks = Tracks((0, 40, 40), np.array([0, 2, 2, 0]), np.array([1, 127, 64, 90]))
    piece = Piece.from_notes("one", notes, Grid(), 9, tracks=tracks, tempi=((2, 60.0), (8, 240.0)))
    write_midi(piece, tmp_path / "one.mid")
    again = read_midi(tmp_path / "one.mid", 4)
    assert again.notes.tolist() == notes.tolist()
    assert again.tracks is not None
    # A track without notes is not written.
    assert again.tracks.programs == (0, 40)
    assert again.tracks.track.tolist() == [0, 1, 1, 0]
    assert again.tracks.velocity.tolist() == [1, 127, 64, 90]
    assert again.tempi == piece.tempi
    assert again.seconds[[0, 2, 8, 9]].tolist() == pytest.approx([0, 0.25, 0.25 + 1.5, 0.25 + 1.5 + 0.0625])
    # On one piano notes of one pitch do not overlap.
    merged = again.merged()
    assert merged.notes.tolist() == [[0, 2, 60], [0, 4, 64], [2, 6, 60], [4, 9, 72]]
    assert (merged.tracks, merged.tempi) == (None, ())
    assert np.array_equal(merged.roll, again.roll)


def test_rolls_by_part(tmp_path: Path) -> None:
    roll = np.eye(3, 88, 40, dtype=np.uint8)
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = roll, roll[:2]
    savemat(tmp_path / "made.mat", {"traindata": cells, "validdata": cells[:, :1], "testdata": cells[:, 1:]})
    music = read_music(tmp_path / "made.mat", 1)
    assert {part: [one.length for one in pieces] for part, pieces in music.parts.items()} == {
        "train": [3, 2], "validation": [3], "test": [2],
    }  # fmt: skip
    assert np.array_equal(music.parts["train"][0].roll, roll)
    wide = np.zeros((3, 128))
    wide[:, 21:109] = roll
    np.savez(tmp_path / "made.npz", tune=wide)
    assert np.array_equal(read_music(tmp_path / "made.npz", 1).parts["all"][0].roll, roll)
    for part in ("train", "dev", "test"):
        (tmp_path / "folder" / part).mkdir(parents=True)
        np.savez(tmp_path / "folder" / part / "a.npz", tune=roll)
    assert set(read_music(tmp_path / "folder", 1).parts) == {"train", "validation", "test"}
    assert read_music([roll], 2).parts["all"][0].grid.steps_per_beat == 2


def test_names() -> None:
    assert [part_of(name) for name in ("ptb.valid.txt", "traindata", "dev", "trainer", "train_test")] == [
        "validation", "train", "validation", None, None,
    ]  # fmt: skip
    assert [pitch_name(pitch) for pitch in (21, 60, 70, 108)] == ["A0", "C4", "A#4", "C8"]
    assert np.flatnonzero(key_classes("D minor")).tolist() == [0, 2, 4, 5, 7, 9, 10]
    assert np.array_equal(key_classes("Bb"), key_classes("A# major"))
    for wrong in ("H", "C majeur", ""):
        with pytest.raises(ParameterError, match="key"):
            key_classes(wrong)
