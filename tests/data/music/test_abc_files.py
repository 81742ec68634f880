from pathlib import Path

import numpy as np
import pytest

from recurra.data.music.abc_file import read_abc
from recurra.data.music.read import read_music
from recurra.errors import DataError

HEADER = "X:1\nT:Tune\nM:4/4\nL:1/8\nK:{key}\n"


def notes(body: str, tmp_path: Path, key: str = "C", steps: int = 2) -> list[list[int]]:
    (tmp_path / "one.abc").write_text(HEADER.format(key=key) + body + "\n")
    ((piece,), problems) = read_abc(tmp_path / "one.abc", steps)
    assert not problems
    return piece.notes.tolist()


def pitches(body: str, tmp_path: Path, key: str = "C") -> list[int]:
    return [pitch for _, _, pitch in notes(body, tmp_path, key)]


def test_pitches(tmp_path: Path) -> None:
    assert pitches("C D c B, c' C,,", tmp_path) == [60, 62, 72, 59, 84, 36]
    assert pitches("F C f", tmp_path, "D") == [66, 61, 78]
    assert pitches("B E A D", tmp_path, "Gm") == [70, 63, 69, 62]
    assert pitches("F B c", tmp_path, "D dorian") == [65, 71, 72]
    assert pitches("E F C", tmp_path, "F#m") == [64, 66, 61]
    # An accidental holds until the bar line, in all octaves.
    assert pitches("^F F f =F F | F ^^C __D", tmp_path) == [66, 66, 78, 65, 65, 65, 62, 60]
    assert pitches('"Am"A {g}B ~c !trill!d (ef) .g [K:G] f', tmp_path) == [69, 71, 72, 74, 76, 77, 79, 78]


def test_lengths(tmp_path: Path) -> None:
    def spans(body: str, steps: int = 4) -> list[list[int]]:
        return [one[:2] for one in notes(body, tmp_path, steps=steps)]

    assert spans("A2 B z2 c/ d/2 e3/2 f") == [[0, 4], [4, 6], [10, 11], [11, 12], [12, 15], [15, 17]]
    assert spans("f// g/4 a", 8) == [[0, 1], [1, 2], [2, 6]]
    assert spans("(3ABc d", 6) == [[0, 2], [2, 4], [4, 6], [6, 9]]
    assert spans("(3:2:2A2B d", 6)[:2] == [[0, 4], [4, 6]]
    assert spans("A>B c<d", 4) == [[0, 3], [3, 4], [4, 5], [5, 8]]
    assert spans("[L:1/4] A B | [M:3/4] Z c") == [[0, 4], [4, 8], [20, 24]]
    # Ties join notes over bar lines; a tied chord keeps all its notes.
    assert notes("A2- | A2 A2 |", tmp_path) == [[0, 4, 69], [4, 6, 69]]
    assert notes("[CE]2- [CE]2 [C2E2G2]", tmp_path) == [
        [0, 4, 60], [0, 4, 64], [4, 6, 60], [4, 6, 64], [4, 6, 67],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("A|B|", "AB"),
        ("|:A:|B|", "AAB"),
        ("A:|B|]", "AAB"),
        ("|:A|B:||:C|D:|", "ABABCDCD"),
        ("|:A|1 B:|2 C|D|", "ABACD"),
        ("A|[1 B|C:|[2 D|E||F|", "ABCADEF"),
        ("|:A::B:|", "AABB"),
        ("|:A|[1,3 B:|[2 C:|[4 D|]E", "ABACABADE"),
        ("|:A|[1 B:|[2 C:|\n|:D:|", "ABACDD"),
    ],
)
def test_repeats(body: str, played: str, tmp_path: Path) -> None:
    names = {"A": 69, "B": 71, "C": 60, "D": 62, "E": 64, "F": 65}
    assert pitches(body, tmp_path) == [names[one] for one in played]


def test_tunes_of_huge_numbers_are_set_aside(tmp_path: Path) -> None:
    many = "9" * 5000
    bodies = ("C" + 30 * "9", f"C/{many}", f"Z{many}", f"|1-{many} C", f"(3:2:{many}C", f"(3:{many}C", "Z900000 C")
    tunes = [f"M:4/4\nK:C\n{body}" for body in bodies]
    tunes += [f"M:{many}/4\nK:C\nC", "M:00/4\nK:C\nC", f"Q:{many}\nK:C\nC"]
    (tmp_path / "set.abc").write_text("".join(f"X:1\n{tune}\n" for tune in tunes) + "X:2\nK:C\nA\n")
    pieces, problems = read_abc(tmp_path / "set.abc", 4)
    assert [piece.name for piece in pieces] == ["set 2"]
    assert len(problems) == len(tunes)
    assert all(len(one.reason) < 100 for one in problems)


def test_the_meter_of_the_header_is_that_of_the_piece(tmp_path: Path) -> None:
    (tmp_path / "one.abc").write_text("X:1\nM:3/4\nK:C\nA6 | [M:4/4] A8 |\n")
    ((piece,), _) = read_abc(tmp_path / "one.abc", 4)
    assert piece.grid.beats_per_bar == 3
    assert piece.length == 28


def test_several_tunes_and_their_faults(tmp_path: Path) -> None:
    tunes = [
        "X:1\nT:First\nM:6/8\nQ:3/8=60\nK:G\nGAB c3 % a comment\nw:words are not sung\n",
        "X:2\nT:No key\nABC\n", "X:3\nK:C\nz4\n", "X:4\nM:x/y\nK:C\nA\n", "X:5\nK:C\nV:1\nA\n", "X:6\nK:Q\nA\n",
        "X:7\nK:C\nA/0 B\n", "X:8\nK:C\nC,,,,,,,\n", "X:9\nT:Last\nK:C\nA\n",
    ]  # fmt: skip
    (tmp_path / "set.abc").write_bytes("\n".join(tunes).encode() + "T:caf\xe9".encode("latin-1"))
    pieces, problems = read_abc(tmp_path / "set.abc", 4)
    assert [piece.name for piece in pieces] == ["set 1 First", "set 9 Last"]
    assert pieces[0].grid.beats_per_bar == 3
    assert pieces[0].grid.tempo == 90
    assert len(problems) == 7
    assert all(one.where.startswith(f"{tmp_path / 'set.abc'}, line ") and "\n" not in str(one) for one in problems)
    assert read_music(tmp_path / "set.abc", 4).problems == problems
    assert len(read_music(tmp_path, 4).parts["all"]) == 2


def test_tunes_beside_rolls_with_parts_are_refused(tmp_path: Path) -> None:
    roll = np.eye(3, 88, 40, dtype=np.uint8)
    np.savez(tmp_path / "rolls.npz", train=roll, test=roll)
    assert set(read_music(tmp_path, 4).parts) == {"train", "test"}
    (tmp_path / "one.abc").write_text("X:1\nK:C\nA\n")
    with pytest.raises(DataError, match=r"some of its files state parts.* such as that of one"):
        read_music(tmp_path, 4)
