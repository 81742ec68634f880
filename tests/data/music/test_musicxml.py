import zipfile
from pathlib import Path

import pytest

from recurra.data.music.read import read_music
from recurra.errors import DataError

pytest.importorskip("music21")

SCORE = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><part-list>
<score-part id="P1"><part-name>A</part-name><score-instrument id="I1"><instrument-name>Flute</instrument-name>
</score-instrument><midi-instrument id="I1"><midi-program>74</midi-program></midi-instrument></score-part>
<score-part id="P2"><part-name>B</part-name></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>2</divisions><time><beats>3</beats><beat-type>4</beat-type>
</time></attributes><direction><direction-type><words>fast</words></direction-type><sound tempo="90"/></direction>
<note><grace/><pitch><step>G</step><octave>5</octave></pitch></note>
<note><pitch><step>C</step><alter>1</alter><octave>5</octave></pitch><duration>2</duration></note>
<note><pitch><step>D</step><octave>5</octave></pitch><duration>1</duration></note>
<note><rest/><duration>1</duration></note>
<note><pitch><step>E</step><octave>5</octave></pitch><duration>2</duration><tie type="start"/></note></measure>
<measure number="2"><note><pitch><step>E</step><octave>5</octave></pitch><duration>6</duration><tie type="stop"/></note>
<barline location="right"><repeat direction="backward"/></barline></measure></part>
<part id="P2"><measure number="1"><attributes><divisions>3</divisions></attributes>
<note><pitch><step>C</step><octave>0</octave></pitch><duration>9</duration></note></measure>
<measure number="2"><note><pitch><step>C</step><octave>3</octave></pitch><duration>9</duration></note>
<note><chord/><pitch><step>G</step><octave>3</octave></pitch><duration>9</duration></note>
<barline location="right"><repeat direction="backward"/></barline></measure></part></score-partwise>"""
FLUTE = [[0, 4, 73], [4, 6, 74], [8, 24, 76]]
BASS = [[0, 12, 24], [12, 24, 48], [12, 24, 55]]


def shifted(notes: list[list[int]]) -> list[list[int]]:
    return [[start + 24, end + 24, pitch] for start, end, pitch in notes]


@pytest.mark.parametrize("ending", ["musicxml", "mxl"])
def test_a_score_by_hand(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"tune.{ending}"
    if ending == "mxl":
        with zipfile.ZipFile(path, "w") as file:
            container = '<container><rootfiles><rootfile full-path="in/tune.xml"/></rootfiles></container>'
            file.writestr("META-INF/container.xml", container)
            file.writestr("cover.xml", "<cover/>")
            file.writestr("in/tune.xml", SCORE)
    else:
        path.write_text(SCORE)
    [piece] = read_music(path, 4).parts["all"]
    assert piece.notes.tolist() == sorted([*FLUTE, *BASS, *shifted(FLUTE), *shifted(BASS)], key=lambda one: one[::2])
    assert (piece.grid.beats_per_bar, piece.grid.tempo, piece.length) == (3, 90, 48)
    assert piece.tracks is not None
    assert piece.tracks.programs == (73, 0)
    assert piece.tracks.track.tolist() == [int(note in BASS or note in shifted(BASS)) for note in piece.notes.tolist()]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        (b"hello", "not a readable"),
        (SCORE[:900].encode(), "not a readable"),
        (b"<opus/>", "score-partwise"),
        (b"<score-timewise/>", "score-partwise"),
        (b"<score-partwise/>", "no notes"),
        (SCORE.replace("<step>D", "<step>X").encode(), "damaged"),
        (SCORE.replace("<divisions>2", "<divisions>zwei").encode(), "damaged"),
    ],
    ids=range(8),
)
def test_broken_scores_are_one_line(content: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / "a.musicxml").write_bytes(content)
    with pytest.raises(DataError, match=fault) as caught:
        read_music(tmp_path / "a.musicxml", 4)
    assert str(caught.value).startswith(str(tmp_path / "a.musicxml"))
    assert "\n" not in str(caught.value)


def test_broken_archives_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mxl"
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="not a readable"):
        read_music(path, 4)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="no score"):
        read_music(path, 4)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.xml", b" " * (65 << 20))
    with pytest.raises(DataError, match="bytes"):
        read_music(path, 4)
