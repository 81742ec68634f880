import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_music import played, played_off_the_grid
from recurra.cli.main import main
from recurra.data.music.live import LiveMusic
from recurra.data.music.midi import read_midi, write_midi
from recurra.data.music.pictures import PieceSurprise, write_page
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import key_classes
from recurra.errors import ParameterError, RunError
from recurra.tasks.music import EndlessMusic, MusicModel, MusicSampling
from recurra.tasks.music.results import Surprises
from recurra.text_table import number_of

pytest.importorskip("symusic", reason="MIDI files need symusic")

GRID = Grid(2, 3.0, 90.0)
TUNE = np.array([[0, 2, 64], [2, 4, 64], [4, 6, 67], [8, 10, 65], [10, 13, 64]])
"""A note that is repeated, and a rest."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music") / "run"
    rolls = np.random.default_rng(0).random((3, 12, 88)) < np.linspace(0.2, 0, 88)
    options: dict[str, Any] = {"hidden_size": 8, "nade_size": 4, "max_steps": 3, "batch_size": 2, "device": "cpu"}
    pieces = [Piece.from_roll(f"{k}", roll, GRID) for k, roll in enumerate(rolls)]
    MusicModel(**options, validation_fraction=0).fit(pieces, folder=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tune") / "tune.mid"
    # The run reads four frames a beat.
    write_midi(Piece.from_notes("tune", TUNE * [2, 2, 1], Grid(4, 3.0, 90.0)), path)
    return str(path)


def test_an_opening_is_continued_note_for_note(run: Path, tune: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "new.mid"
    arguments = ["generate", str(run), "--primer", tune, "--bars", "2", "--seed", "5", "--out", str(out)]
    assert main([*arguments, "--wav", str(tmp_path / "new.wav")]) == 0
    found, opening = read_midi(out, 4), read_midi(Path(tune), 4)
    assert found.grid.beats_per_bar == 3
    assert opening.length < found.length <= opening.length + 2 * 12
    early = found.notes[found.notes[:, 0] < opening.length]
    assert early.tolist() == opening.notes.tolist()
    generated = MusicModel.load(run).generate(primer=tune, bars=2.0, seed=5)[0]
    assert generated.notes.tolist() == found.notes.tolist()
    assert (tmp_path / "new.wav").read_bytes().startswith(b"RIFF")
    assert MusicModel.load(run).generate(primer=tune, primer_bars=1.0, bars=1.0)[0].length == 24


def test_a_melody_stays_as_it_is(run: Path, tune: str) -> None:
    made = MusicModel.load(run).generation(melody=tune, count=3, seed=2, sampling=MusicSampling(particles=4))
    melody = read_midi(Path(tune), 4)
    highest = np.where(melody.roll.any(1), 108 - melody.roll[:, ::-1].argmax(1), 200)
    for one in made.pieces:
        assert one.piece.notes[one.original].tolist() == melody.notes.tolist()
        assert (~one.original).any()
        assert one.piece.length == melody.length
        for start, end, pitch in one.piece.notes[~one.original].tolist():
            assert (pitch < highest[start:end]).all()
    again = MusicModel.load(run).generation(melody=tune, seed=3, sampling=MusicSampling(particles=4))
    assert again.pieces[0].piece.notes.tolist() == made.pieces[1].piece.notes.tolist()


def test_a_melody_by_a_beam(run: Path, tune: str) -> None:
    made = MusicModel.load(run).generation(melody=tune, count=3, sampling=MusicSampling(beam_size=3)).pieces
    melody = read_midi(Path(tune), 4)
    assert len(made) == 3
    for one in made:
        assert one.piece.notes[one.original].tolist() == melody.notes.tolist()
    nats = [MusicModel.load(run).predict([one.piece])[0].sum() for one in made]
    assert nats == sorted(nats)


@pytest.mark.parametrize("beam_size", [0, 2])
def test_bars_are_infilled_and_the_rest_stays(run: Path, tune: str, beam_size: int) -> None:
    sampling = MusicSampling(particles=4, beam_size=beam_size)
    one = MusicModel.load(run).generation(infill=tune, infill_bars="2", seed=1, sampling=sampling).pieces[0]
    given = read_midi(Path(tune), 4)
    # The second bar is that of the frames 12 to 23, in which the notes at 16 and 20 begin.
    rest = given.notes[given.notes[:, 0] < 12]
    assert one.piece.notes[one.original].tolist() == rest.tolist()
    assert one.piece.length == given.length
    added = one.piece.notes[~one.original]
    assert ((added[:, 0] >= 12) & (added[:, 1] <= 24)).all()


def test_infilling_leaves_notes_off_the_grid_as_they_are(run: Path, tmp_path: Path) -> None:
    given, out = played_off_the_grid(tmp_path / "given.mid"), tmp_path / "new.mid"
    infill = ["generate", str(run), "--infill", str(tmp_path / "given.mid"), "--infill-bars", "2-2"]
    assert main([*infill, "--out", str(out), "--wav", str(tmp_path / "new.wav")]) == 0
    found = read_midi(out, 4).performance
    assert found.ticks_per_beat == 480
    assert [(tick, round(tempo, 3)) for tick, tempo in found.tempi] == list(given.tempi)
    frames = given.frames(4)[:, 0]
    rest = played(given.select((frames < 12) | (frames >= 24)))
    assert rest <= played(found)
    assert all(1440 <= start < 2880 and program == 0 for start, _, _, program, _ in played(found) - rest)
    assert played(found) - rest


def test_openings_and_melodies_stay_played_off_the_grid(run: Path, tmp_path: Path) -> None:
    given, model = played_off_the_grid(tmp_path / "given.mid"), MusicModel.load(run)
    path = str(tmp_path / "given.mid")
    made = model.generate(primer=path, primer_bars=1.0, bars=1.0)[0].performance
    early = given.select(given.frames(4)[:, 0] < 12)
    assert len(early.notes) < len(made.notes)
    assert {(start, pitch) for start, _, pitch, *_ in played(early)} <= {(one[0], one[2]) for one in played(made)}
    assert played(given) <= played(model.generate(melody=path)[0].performance)


def test_constraints(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = MusicModel.load(run)
    piece = model.generate(bars=2.0, sampling=MusicSampling(key="Eb major"))[0]
    assert key_classes("Eb major")[piece.notes[:, 2] % 12].all()
    sparse, dense = (model.generate(bars=2.0, sampling=MusicSampling(density=by))[0] for by in (0.2, 5.0))
    assert len(sparse.notes) < len(dense.notes)
    assert main(["generate", str(run), "--bars", "1", "--count", "2", "--out", str(tmp_path / "a.mid")]) == 0
    assert f"{tmp_path / 'a-1.mid'}, {tmp_path / 'a-2.mid'}" in capsys.readouterr().out


def test_mistakes(run: Path, tune: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MusicModel.load(run)
    wrong: list[dict[str, Any]] = [
        {"melody": tune, "primer": tune}, {"melody": tune, "bars": 3.0}, {"primer_bars": 2.0}, {"bars": 0.0},
        {"wav": "a.mp3"}, {"picture": "a.svg"}, {"page": "a.txt"}, {"count": 0}, {"bars": 1e9},
        {"sound_font": tune, "wav": None}, {"infill": tune, "infill_bars": "1-99"},
        {"infill": tune, "voice": 1}, {"sampling": MusicSampling(top_p=0.5)}, {"sampling": MusicSampling(top_k=2)},
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(ParameterError):
            model.generation(**{"wav": str(tmp_path / "new" / "a.wav"), **arguments})
    (tmp_path / "file").touch()
    arguments: dict[str, Any]
    monkeypatch.setattr("recurra.tasks.music.generation.sample_frames", None)  # no work precedes the refusal
    for name in ("wav", "page"):
        arguments = {name: str(tmp_path / "file" / f"a.{name.replace('page', 'html')}")}
        with pytest.raises(RunError, match="cannot be written"):
            model.generation(**arguments)
    (tmp_path / "file").unlink()
    assert main(["generate", str(run), "--out", str(tmp_path / "a.txt")]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_picture_has_every_note(run: Path, tune: str, tmp_path: Path, drawn: list[Any]) -> None:
    made = MusicModel.load(run).generation(primer=tune, bars=1.0, picture=str(tmp_path / "a.png"))
    made.write(tmp_path / "a.mid")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    collections = drawn[0].axes[0].collections
    one = made.pieces[0]
    assert sorted(len(boxes.get_paths()) for boxes in collections) == sorted(
        [one.original.sum(), (~one.original).sum()]
    )


def test_the_page_has_every_note_with_its_surprise(run: Path, tune: str, tmp_path: Path) -> None:
    model = MusicModel.load(run)
    page = tmp_path / "new.html"
    made = model.generation(primer=tune, bars=1.0, page=str(page))
    made.write(tmp_path / "new.mid")
    shown = re.findall(r'data-start="(\d+)" data-end="(\d+)" data-pitch="(\d+)"', page.read_text())
    assert sorted([int(one) for one in note] for note in shown) == sorted(made.pieces[0].piece.notes.tolist())
    assert not re.search(r"https?://|src=|href=|\{[a-z]+\}", page.read_text())
    out = tmp_path / "tune.html"
    assert main(["predict", str(run), "--data", tune, "--out", str(out)]) == 0
    nats = [float(one) for one in re.findall(r": ([\d.]+) nats</title>", out.read_text())]
    predicted = model.predictions(tune)
    assert isinstance(predicted, Surprises)
    read = predicted.read[0].surprise
    assert nats == pytest.approx(
        [read[start, pitch - 21] for start, _, pitch in read_midi(Path(tune), 4).notes], abs=0.006
    )
    with pytest.raises(ParameterError, match="a page shows one"):
        model.predictions(2 * [read_midi(Path(tune), 4)]).write(out)


def test_a_title_is_text(tmp_path: Path) -> None:
    piece = Piece("<b>", np.zeros((0, 3), int), 4)
    write_page(piece, PieceSurprise(np.zeros(0), np.zeros(4), 0.0), piece.name, tmp_path / "a.html")
    assert "<b>" not in (tmp_path / "a.html").read_text()


def test_endless_music_is_written_in_time(
    run: Path, tune: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = MusicModel.load(run)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 60:
            raise KeyboardInterrupt

    live = model.generation(endless=True, primer=tune, seed=5, sampling=MusicSampling(key="C major"))
    assert isinstance(live, EndlessMusic)
    live.live = LiveMusic(live.live.frames, GRID, clock=lambda: now[0], sleep=sleep)
    events = [json.loads(line) for line in live.text()][1:]
    assert 60 - 2 < max(one["time"] for one in events) < 61
    assert key_classes("C major")[[one["pitch"] % 12 for one in events]].all()
    assert "frames" in next(iter(live.remarks()))
    # The same seed has the same notes as a file.
    assert main(["generate", str(run), "--endless", "--bars", "0.2", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    begun = [(one["time"], one["pitch"]) for one in map(json.loads, out.splitlines()) if one.get("event") == "note_on"]
    piece = model.generate(bars=0.2, seed=3)[0]
    expected = [(start * piece.grid.seconds_per_step, pitch) for start, _, pitch in piece.notes.tolist()]
    assert [pitch for _, pitch in begun] == [pitch for _, pitch in expected]
    assert [at for at, _ in begun] == pytest.approx([at for at, _ in expected], abs=1e-5)
    assert f"{number_of(piece.length, 'frame')}, {number_of(len(begun), 'note')}" in err
    wrong: list[dict[str, Any]] = [{"melody": tune}, {"count": 2}, {"wav": str(tmp_path / "a.wav")}, {"page": "a.html"}]
    for arguments in wrong:
        with pytest.raises(ParameterError, match=next(iter(arguments))):
            model.generation(endless=True, **arguments)
    for arguments in ({"port": "piano"}, {"endless": True, "bars": 0.2}):
        with pytest.raises(ParameterError):
            model.generate(**arguments)
    assert main(["generate", str(run), "--endless", "--out", str(tmp_path / "a.mid")]) == 2
    assert list(tmp_path.iterdir()) == []
