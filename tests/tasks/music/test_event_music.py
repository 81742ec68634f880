"""A model of events, through every command."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_music import GRID, duets, played, played_off_the_grid
from recurra import load
from recurra.cli.main import main
from recurra.data.music.live import LiveMusic
from recurra.data.music.midi import read_midi, write_midi
from recurra.data.music.performance import Tracks
from recurra.data.music.piece import Piece
from recurra.data.music.pitches import key_classes, pitch_name
from recurra.errors import ParameterError
from recurra.tasks.music import EndlessMusic, MusicModel, MusicSampling

pytest.importorskip("symusic", reason="MIDI files need symusic")

SMALL: dict[str, Any] = {
    "output": "events", "hidden_size": 16, "max_steps": 60, "batch_size": 4, "truncation_length": 24, "device": "cpu",
    "validate_every": 30, "learning_rate": 0.03, "dropout": 0.0, "weight_decay": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events") / "run"
    MusicModel(**SMALL, transposition=2).fit(duets(30), folder=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def duet(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("duet") / "duet.mid"
    piece = duets(1, 5)[0]
    tracks = Tracks((73, 32), piece.tracks.track, np.arange(60, 70))  # pyright: ignore[reportOptionalMemberAccess]
    write_midi(Piece("duet", piece.notes, piece.length, GRID, tracks), path)
    return str(path)


def rows(piece: Piece, chosen: np.ndarray | None = None) -> list[tuple[int, ...]]:
    """Start, end, pitch, program and velocity of the notes that are chosen, sorted."""
    assert piece.tracks is not None
    programs = np.array(piece.tracks.programs)[piece.tracks.track]
    every = np.column_stack([piece.notes, programs, piece.tracks.velocity])
    return sorted(map(tuple, (every if chosen is None else every[chosen]).tolist()))


def test_evaluate_beside_n_grams(run: Path) -> None:
    model = load(run)
    found = model.evaluate(duets(5, 1), samples=2)
    assert list(found.methods) == ["model", "event frequencies", "last bar", "6-gram, Kneser-Ney"]
    assert found.scores["nats/note"] < found.baselines["event frequencies"]["nats/note"]
    # The same nats, over the notes and over the events.
    pieces = [model.fitted.learned.vocabulary.fit(piece) for piece in duets(5, 1)]
    events = sum(len(model.fitted.learned.vocabulary.encode(piece).tokens) for piece in pieces)
    assert found.scores["nats/note"] * 50 == pytest.approx(found.scores["nats/event"] * events)
    assert [row[0] for row in found.tables["character"].rows] == ["these pieces", "sampled", "training"]


def test_the_surprise_of_notes_is_that_of_their_events(run: Path, duet: str, tmp_path: Path) -> None:
    model = MusicModel.load(run)
    together = model.predict(duets(3, 1))
    for piece, nats in zip(duets(3, 1), together, strict=True):
        assert model.predict([piece])[0] == pytest.approx(nats, rel=1e-4)
        assert nats.shape == (10,)
    rest = model.evaluate(duets(3, 1), samples=0).scores["nats/note"] * 30 - np.concatenate(together).sum()
    assert rest > 0  # that of the ends
    table = model.predictions(duet).table()
    given = read_midi(Path(duet), 4).notes
    names = [pitch_name(pitch) for pitch in given[:2, 2].tolist()]
    # Velocities are those of the vocabulary, which has 64 and 96.
    assert [row[4:8] for row in table.rows[:2]] == [("32.1", names[0], 4.0, 64), ("73.1", names[1], 0.75, 64)]
    out = tmp_path / "duet.html"
    assert main(["predict", str(run), "--data", duet, "--out", str(out)]) == 0
    nats = [float(one) for one in re.findall(r": ([\d.]+) nats</title>", out.read_text())]
    assert nats == pytest.approx(model.predict(duet)[0], abs=0.006)


def test_an_opening_is_continued_by_both_voices(run: Path, duet: str, tmp_path: Path) -> None:
    out = tmp_path / "new.mid"
    arguments = ["generate", str(run), "--primer", duet, "--primer-bars", "1", "--bars", "2", "--seed", "4"]
    assert main([*arguments, "--out", str(out), "--wav", str(tmp_path / "new.wav")]) == 0
    model, opening = MusicModel.load(run), read_midi(Path(duet), 4).beginning(16)
    made = model.generation(primer=duet, primer_bars=1.0, bars=2.0, count=3, seed=3).pieces
    assert rows(read_midi(out, 4)) == rows(made[1].piece)
    for one in made:
        assert rows(one.piece, one.original) == rows(opening)
        assert one.piece.length == 48
        assert one.piece.notes[~one.original, 0].min() >= 16
    assert {row[3] for one in made for row in rows(one.piece, ~one.original)} == {73, 32}
    free = model.generate(bars=4.0, seed=1, sampling=MusicSampling(key="Eb minor", top_p=0.9, temperature=0.9))[0]
    assert key_classes("Eb minor")[free.notes[:, 2] % 12].all()


@pytest.mark.parametrize("beam_size", [0, 2])
@pytest.mark.parametrize("gap", [{"voice": 1}, {"infill_bars": "2"}, {"voice": 2, "infill_bars": "1-2"}])
def test_infilling_never_changes_a_given_note(run: Path, duet: str, gap: dict[str, Any], beam_size: int) -> None:
    model, given = MusicModel.load(run), read_midi(Path(duet), 4)
    sampling = MusicSampling(beam_size=beam_size, particles=3)
    made = model.generation(infill=duet, seed=1, count=2, sampling=sampling, **gap).pieces
    kept = np.ones(len(given.notes), bool)
    if gap.get("infill_bars") == "2":
        kept &= given.notes[:, 0] < 16
    if "voice" in gap:
        assert given.tracks is not None
        kept &= given.tracks.track != gap["voice"] - 1
    program = {1: 73, 2: 32}.get(gap.get("voice", 0))
    for one in made:
        assert rows(one.piece, one.original) == rows(given, kept)
        assert one.piece.length == given.length
        for start, end, _, own, _ in rows(one.piece, ~one.original):
            assert program in (own, None)
            assert gap.get("infill_bars") != "2" or 16 <= start < end <= 32
    assert any((~one.original).any() for one in made)


def test_infilling_leaves_notes_off_the_grid_as_they_are(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "given.mid"
    given = played_off_the_grid(path)
    made = MusicModel.load(run).generate(infill=str(path), voice=2, infill_bars="2-2")[0].performance
    frames = given.frames(4)[:, 0]
    rest = given.select((given.tracks.track == 0) | (frames < 12) | (frames >= 24))
    assert played(rest) <= played(made)
    assert all(1440 <= start < 2880 for start, *_ in played(made) - played(rest))
    assert [(tick, round(tempo, 3)) for tick, tempo in made.tempi] == list(given.tempi)


def test_a_melody_stays_and_nothing_is_above_it(run: Path, duet: str, tmp_path: Path) -> None:
    given = read_midi(Path(duet), 4)
    assert given.tracks is not None
    alone = given.tracks.track == 0
    melody = Piece("melody", given.notes[alone], 32, GRID, Tracks((73,), given.tracks.track[alone] * 0,
                                                                 given.tracks.velocity[alone]))  # fmt: skip
    write_midi(melody, tmp_path / "melody.mid")
    for beam_size in (0, 3):
        sampling = MusicSampling(particles=4, beam_size=beam_size)
        made = MusicModel.load(run).generation(melody=str(tmp_path / "melody.mid"), seed=2, sampling=sampling).pieces[0]
        assert rows(made.piece, made.original) == rows(melody)
        highest = np.where(melody.roll.any(1), 108 - melody.roll[:, ::-1].argmax(1), 200)
        for start, end, pitch, program, _ in rows(made.piece, ~made.original):
            assert program == 32
            assert (pitch < highest[start:end]).all()


def test_endless_events_are_those_of_a_file(run: Path, duet: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = MusicModel.load(run)
    for arguments in ({"primer": duet, "primer_bars": 1.5}, {}):
        live = model.generation(endless=True, bars=2.0, seed=4, **arguments)
        assert isinstance(live, EndlessMusic)
        now = [0.0]

        def sleep(seconds: float, now: list[float] = now) -> None:
            now[0] += seconds

        programs = live.live.programs or ()
        assert programs == (32, 73)
        live.live = LiveMusic(live.live.frames, GRID, programs, clock=lambda now=now: now[0], sleep=sleep)
        header, *events = [json.loads(line) for line in live.text()]
        assert header["programs"] == [32, 73]
        piece = model.generate(bars=2.0, seed=4, **arguments)[0]
        begin = 24 if arguments else 0
        step, sounding, played = piece.grid.seconds_per_step, {}, []
        for one in events:
            key = programs[one["track"]], one["pitch"]
            if one["event"] == "note_on":
                sounding[key] = one["time"], one["velocity"]
            else:
                start, velocity = sounding.pop(key)
                start, end = (begin + round(at / step) for at in (start, one["time"]))
                played.append((start, end, key[1], key[0], velocity))
        assert not sounding
        assert sorted(played) == [row for row in rows(piece) if row[0] >= begin]
        assert played
    assert main(["generate", str(run), "--endless", "--bars", "0.2", "--top-k", "3"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[0])["programs"] == [32, 73]
    assert "frames" in err


def test_resume_and_inspect(run: Path, tmp_path: Path) -> None:
    short = {**SMALL, "schedule": "constant", "max_steps": 4}
    MusicModel(**short).fit(duets(12), folder=tmp_path / "a", progress=False)
    whole = MusicModel(**{**short, "max_steps": 8})
    whole.fit(duets(12), folder=tmp_path / "a", resume=True, progress=False)
    straight = MusicModel(**{**short, "max_steps": 8}).fit(duets(12), progress=False)
    assert np.array_equal(whole.predict(duets(1))[0], straight.predict(duets(1))[0])
    pieces, again = whole.fitted.learned.pieces, MusicModel.load(tmp_path / "a").fitted.learned.pieces
    assert [rows(piece) for piece in pieces] == [rows(piece) for piece in again]
    view = MusicModel.load(run).view(duets(3))
    assert view.words.labels[:3] == ["end", "bar", "position 0"]


def test_mistakes(run: Path, duet: str) -> None:
    model = MusicModel.load(run)
    wrong: list[dict[str, Any]] = [
        {"infill": duet}, {"voice": 1}, {"infill_bars": "1"}, {"infill": duet, "voice": 3},
        {"infill": duet, "infill_bars": "2-1"}, {"infill": duet, "infill_bars": "2-3"},
        {"infill": duet, "infill_bars": "x"}, {"infill": duet, "voice": 1, "primer": duet},
        {"infill": duet, "voice": 1, "melody": duet}, {"sampling": MusicSampling(beam_size=2)},
        {"infill": duet, "voice": 1, "count": 3, "sampling": MusicSampling(beam_size=2)},
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(ParameterError):
            model.generation(**arguments)
