"""Words with times, and the forms in which they are written."""

import json
from pathlib import Path

import pytest

from recurra.data.audio.timed_words import Segment, Word, ctm, json_lines, srt, text_grid, vtt, write_each


def segment(*spans: tuple[str, float, float], confidence: float = 0.5) -> Segment:
    return Segment(tuple(Word(text, begin, end, confidence) for text, begin, end in spans))


SPOKEN = [segment(("turn", 0.5, 0.8), ("left", 0.9, 1.3)), segment(("stop", 3661.25, 3661.5))]


def test_a_segment_has_the_times_of_its_words() -> None:
    assert (SPOKEN[0].text, SPOKEN[0].begin, SPOKEN[0].end) == ("turn left", 0.5, 1.3)
    assert SPOKEN[0].later(10.0).words[1] == Word("left", 10.9, 11.3, 0.5)
    assert (Segment(()).text, Segment(()).begin, Segment(()).confidence) == ("", 0.0, 1.0)


def test_subrip() -> None:
    assert srt(SPOKEN) == ("1\n00:00:00,500 --> 00:00:01,300\nturn left\n\n2\n01:01:01,250 --> 01:01:01,950\nstop\n")
    assert srt([]) == ""


def test_web_vtt() -> None:
    assert vtt(SPOKEN[:1]) == "WEBVTT\n\n00:00:00.500 --> 00:00:01.300\nturn left\n"


def test_subtitles_are_short() -> None:
    words = [(f"word{k:02d}", 0.5 * k, 0.5 * k + 0.4) for k in range(40)]
    blocks = srt([segment(*words)]).split("\n\n")
    assert len(blocks) > 3
    for block in blocks:
        lines = block.strip().splitlines()[2:]
        assert len(lines) <= 2
        assert all(len(line) <= 60 for line in lines)
    assert " ".join(" ".join(block.strip().splitlines()[2:]) for block in blocks).split() == [one for one, *_ in words]


def test_a_short_subtitle_stays_but_not_over_the_next() -> None:
    text = srt([segment(("a", 0.0, 0.1)), segment(("b", 0.3, 0.4))])
    assert "00:00:00,000 --> 00:00:00,300" in text
    assert "00:00:00,300 --> 00:00:01,000" in text


def test_ctm_and_json() -> None:
    assert ctm("a b.wav", SPOKEN[:1]) == "a_b.wav 1 0.50 0.30 turn 0.500\na_b.wav 1 0.90 0.40 left 0.500\n"
    rows = [json.loads(line) for line in json_lines("a.wav", SPOKEN).splitlines()]
    assert [row["text"] for row in rows] == ["turn left", "stop"]
    assert rows[1]["words"] == [{"word": "stop", "begin": 3661.25, "end": 3661.5, "confidence": 0.5}]
    assert rows[0]["recording"] == "a.wav"


def test_a_text_grid_has_no_gaps() -> None:
    units = (Word("a", 0.5, 0.6, 0.9), Word('"', 0.7, 0.8, 0.9))
    spoken = Segment((Word('a"', 0.5, 0.8, 0.9, units), Word("b", 0.8, 1.0, 0.9, (Word("b", 0.8, 1.0, 0.9),))))
    lines = [line.strip() for line in text_grid(spoken, 1.5).splitlines()]
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"']
    assert [line for line in lines if line.startswith("name")] == ['name = "words"', 'name = "units"']
    texts = [line.removeprefix("text = ") for line in lines if line.startswith("text")]
    assert texts == ['""', '"a"""', '"b"', '""', '""', '"a"', '""', '""""', '"b"', '""']
    begins = [float(line.split()[2]) for line in lines if line.startswith("xmin")]
    ends = [float(line.split()[2]) for line in lines if line.startswith("xmax")]
    # The grid, the tier of words and its four intervals, the tier of units and its six.
    assert begins == [0, 0, 0, 0.5, 0.8, 1.0, 0, 0, 0.5, 0.6, 0.7, 0.8, 1.0]
    assert ends == [1.5, 1.5, 0.5, 0.8, 1.0, 1.5, 1.5, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5]


def test_units_move_with_their_word() -> None:
    word = Word("ab", 0.5, 0.8, 0.9, (Word("a", 0.5, 0.6, 0.9), Word("b", 0.7, 0.8, 0.4)))
    moved = Segment((word,)).later(1.0).to_json()["words"][0]
    assert moved["units"][1] == {"unit": "b", "begin": 1.7, "end": 1.8, "confidence": 0.4}


def test_each_recording_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert write_each(tmp_path / "one.srt", [("a.wav", "text")], "srt") == [tmp_path / "one.srt"]
    written = write_each(tmp_path / "two", [("a.wav", "first"), ("b/c.wav", "second")], "srt")
    assert written == [tmp_path / "two" / "a.srt", tmp_path / "two" / "b_c.srt"]
    assert written[1].read_text() == "second"


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["s.1", "s.2"], ["s.1.srt", "s.2.srt"]),
        (["a.wav", "a.flac"], ["a.wav.srt", "a.flac.srt"]),
        (["a/b", "a_b"], ["1_a_b.srt", "2_a_b.srt"]),
        (["", "a"], ["recording.srt", "a.srt"]),
    ],
)
def test_no_file_is_written_over_another(names: list[str], files: list[str], tmp_path: Path) -> None:
    written = write_each(tmp_path, [(name, f"of {name}") for name in names], "srt")
    assert [path.name for path in written] == files
    assert [path.read_text() for path in written] == [f"of {name}" for name in names]
