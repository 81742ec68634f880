import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_sounds import tone, write_sound
from recurra.data.audio.checks import Requirements, check_utterances
from recurra.data.audio.read import read_utterances
from recurra.data.audio.sound import Sound
from recurra.errors import DataError


def manifest(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_broken(folder: Path) -> list[tuple[dict[str, object], str, bool]]:
    """Rows of a manifest, what is said of each, and whether it is used; "" for those without a fault."""
    good = write_sound(folder / "good.flac", tone(1.0))
    bytes_ = good.read_bytes()
    mp3 = write_sound(folder / "good.mp3", tone(4.0)).read_bytes()
    write_sound(folder / "tiny.wav", tone(0.01))
    write_sound(folder / "silent.wav", np.zeros(16000, np.float32))
    write_sound(folder / "nothing.wav", np.zeros(0, np.float32))
    write_sound(folder / "clipped.wav", np.clip(20 * tone(1.0), -1, 1))
    write_sound(folder / "slow.wav", tone(1.0, 8000), 8000)
    soundfile.write(folder / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    (folder / "folder.wav").mkdir()
    for name, content in {
        "empty.wav": b"",
        "text.wav": b"yes, this is text\n" * 9,
        "zeros.flac": bytes(9000),
        "head.wav": b"RIFF",
        "page.mp3": b"<html><body>404</body></html>",
        "half.flac": bytes_[: len(bytes_) // 2],
        "noise.flac": bytes_[:2000] + np.random.default_rng(0).bytes(len(bytes_) - 2000),
        "half.mp3": mp3[: len(mp3) // 2],
    }.items():
        (folder / name).write_bytes(content)

    def row(name: str, **values: object) -> dict[str, object]:
        return {"audio_filepath": name, "text": "yes", "id": f"{len(rows)}", **values}

    rows: list[tuple[dict[str, object], str, bool]] = []
    for name, values, reason, used in [
        ("good.flac", {}, "", True),
        ("missing.wav", {}, "no such file", False),
        ("folder.wav", {}, "a folder", False),
        ("empty.wav", {}, "the file is empty", False),
        ("text.wav", {}, "not a recording", False),
        ("zeros.flac", {}, "not a recording", False),
        ("head.wav", {}, "not a recording", False),
        ("page.mp3", {}, "not a recording", False),
        ("half.flac", {}, "damaged|cut off", False),
        ("noise.flac", {}, "damaged|cut off", False),
        ("half.mp3", {}, "cut off", False),
        ("nothing.wav", {}, "no samples", False),
        ("silent.wav", {}, "silent", False),
        ("nan.wav", {}, "not a finite number", False),
        ("tiny.wav", {}, r"too short: 0\.01 s", False),
        ("clipped.wav", {}, r"clipped: \d\d.* % of its samples", True),
        ("good.flac", {"text": ""}, "the text is empty", False),
        ("good.flac", {"text": " \t"}, "the text is empty", False),
        ("good.flac", {"duration": 3.0}, "states 3.00 s, and the recording has 1.00 s: it is cut off", False),
        ("good.flac", {"duration": 0.5}, "states 0.50 s, and the recording has 1.00 s", True),
        ("good.flac", {"duration": 1.05}, "", True),
        ("good.flac", {"offset": 0.5, "duration": 0.5}, "", True),
        ("good.flac", {"offset": 0.5, "duration": 2.0}, "segment ends at 2.50 s, and the recording at 1.00 s", False),
        ("good.flac", {"offset": 5.0, "duration": 1.0}, "segment begins at 5.00 s", False),
        ("good.flac", {"offset": 5.0}, "segment begins at 5.00 s", False),
        ("good.flac", {"id": "0"}, r"the id '0' is that of an earlier row \(.*line 1\)", False),
        ("slow.wav", {}, r"several sample rates.*16,000 \(\d+ recordings\), 8,000 \(1 recordings\)", True),
        ("good.mp3", {}, "", True),
    ]:  # fmt: skip
        rows.append((row(name, **values), reason, used))
    none = row("good.flac")
    del none["text"]
    rows.append((none, "there is no text", False))
    return rows


def test_each_fault_is_named_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = write_broken(tmp_path)
    assert len(rows) == 29
    path = manifest(tmp_path, [values for values, _, _ in rows])
    report = tmp_path / "problems.tsv"
    with caplog.at_level(logging.WARNING, "recurra"):
        checked = check_utterances(read_utterances(path), Requirements(), most_unusable=0.9, report=report)
    used = [values["id"] for values, _, is_used in rows if is_used]
    assert [one.id for one in checked.utterances] == used
    assert checked.unusable == len(rows) - len(used)
    by_line = {}
    for problem in checked.problems:
        [line] = re.findall(r"train\.jsonl, line (\d+)$", problem.where)
        by_line.setdefault(int(line), []).append(problem)
    for line, (values, reason, is_used) in enumerate(rows, start=1):
        problems = by_line.pop(line, [])
        assert len(problems) == bool(reason), f"line {line}: {problems}"
        for problem in problems:
            text = str(problem)
            assert re.search(reason, text), text
            assert "\n" not in text
            assert text.count(str(values["audio_filepath"])) == 1, text
            assert problem.usable == is_used
    assert not by_line
    assert checked.seconds[used.index("21")] == pytest.approx(0.5)
    written = report.read_text(encoding="utf-8").splitlines()
    assert len(written) == 1 + len(checked.problems)
    assert sum(line.startswith("left out\t") for line in written) == checked.unusable
    assert f"{checked.unusable} of {len(rows)} utterances cannot be used" in caplog.text
    assert str(report) in caplog.text


def test_too_many_faults_are_an_error_that_names_the_first(tmp_path: Path) -> None:
    rows = write_broken(tmp_path)
    path, report = manifest(tmp_path, [values for values, _, _ in rows]), tmp_path / "problems.tsv"
    with pytest.raises(
        DataError, match=r"22 of 29 utterances cannot be used, more than the 5 %.*missing\.wav"
    ) as caught:
        check_utterances(read_utterances(path), Requirements(), report=report)
    assert "\n" not in str(caught.value)
    assert len(report.read_text(encoding="utf-8").splitlines()) > 22
    bad = manifest(tmp_path, [rows[1][0]])
    with pytest.raises(DataError, match=r"train\.jsonl, line 1: .*missing\.wav: no such file"):
        check_utterances(read_utterances(bad), Requirements(), most_unusable=1.0)


def test_without_faults_nothing_is_logged_or_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    utterances = read_utterances([Sound(tone(1.0), 16000), write_sound(tmp_path / "a.wav", tone(2.0))], ["yes", "no"])
    report = tmp_path / "problems.tsv"
    checked = check_utterances(utterances, Requirements(), report=report)
    assert checked.problems == ()
    assert checked.seconds.tolist() == [1.0, 2.0]
    assert [one.duration for one in checked.utterances] == [1.0, 2.0]
    assert not report.exists()
    assert not caplog.records


def test_headers_alone_are_read_of_many_hours(tmp_path: Path) -> None:
    utterances = read_utterances(
        [write_sound(tmp_path / "silent.wav", np.zeros(16000)), tone()], ["yes", "no"], sample_rate=16000
    )
    check_utterances(utterances, Requirements(hours_decoded=0.0))
    with pytest.raises(DataError, match=r"recording is silent"):
        check_utterances(utterances, Requirements())


def test_requirements_can_be_less() -> None:
    sounds = [Sound(tone(0.02), 16000)]
    with pytest.raises(DataError, match="too short"):
        check_utterances(read_utterances(sounds, ["hello"]), Requirements())
    check_utterances(read_utterances(sounds, ["hello"]), Requirements(shortest=0.01))
    check_utterances(read_utterances(sounds), Requirements(text=False, shortest=0.0))
    with pytest.raises(DataError, match="no text"):
        check_utterances(read_utterances(sounds), Requirements(shortest=0.0))
