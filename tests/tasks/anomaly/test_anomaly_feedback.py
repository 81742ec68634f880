"""A person's verdicts: what was normal raises no alarm again, and what is an anomaly still does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_machines import CHANNELS, csv, detections_of, hours, machine

from recurra.cli.main import main
from recurra.errors import DataError
from recurra.kernels.native import extension
from recurra.tasks.anomaly import AnomalyDetector

HARMLESS, REAL = 4.0, 9.0


def heat(values: np.ndarray, start: int, size: float) -> None:
    values[start : start + 40, 2] += size


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("feedback")
    options = {"hidden_size": 16, "max_steps": 600, "seed": 1, "device": "cpu"}
    detector = AnomalyDetector(budget="1 in 20000", **options)
    detector.fit(csv(folder / "train.csv", machine(2000, 7)), progress=False).save(folder / "run")
    return folder / "run"


def copied(run: Path, tmp_path: Path) -> Path:
    AnomalyDetector.load(run).save(tmp_path / "run")
    return tmp_path / "run"


def verdicts(path: Path, detector: AnomalyDetector, data: Path, words: list[str]) -> Path:
    """The table of events that `predict` writes, with a column of verdicts."""
    detections_of(detector, data).write(path)
    table = pl.read_csv(path.with_name(f"{path.stem}.events.csv"), infer_schema=False)
    table.with_columns(pl.Series("verdict", words)).write_csv(path)
    return path


@pytest.mark.slow
def test_a_repeated_harmless_pattern_raises_no_more_alarms(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, values, later = copied(run, tmp_path), machine(900, 3), machine(900, 21)
    heat(values, 300, HARMLESS)
    heat(later, 200, 0.95 * HARMLESS)
    heat(later, 600, REAL)
    data, after = csv(tmp_path / "today.csv", values), csv(tmp_path / "later.csv", later)
    before = detections_of(AnomalyDetector.load(folder), after)
    assert before.events.height == 2
    said = verdicts(tmp_path / "verdicts.csv", AnomalyDetector.load(folder), data, ["normal"])
    assert main(["feedback", str(folder), "--data", str(data), "--events", str(said)]) == 0
    printed = capsys.readouterr().out
    assert "1 called normal, 0 called an anomaly" in printed
    assert "warning" not in printed
    taught = detections_of(AnomalyDetector.load(folder), after)
    assert taught.events.height == 1
    [stamp] = taught.events["start"]
    assert hours(900)[595] < np.datetime64(stamp) < hours(900)[625]
    assert detections_of(AnomalyDetector.load(folder), data).events.is_empty()
    assert main(["feedback", str(folder), "--undo"]) == 0
    assert (
        detections_of(AnomalyDetector.load(folder), after).events.drop("similar").equals(before.events.drop("similar"))
    )


def test_an_anomaly_that_is_silenced_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = machine(900, 3)
    heat(values, 200, HARMLESS)
    heat(values, 600, REAL)
    data = csv(tmp_path / "today.csv", values)
    said = verdicts(tmp_path / "v.csv", AnomalyDetector.load(run), data, ["anomaly", "normal"])
    first = str(hours(900)[200])[:10]
    original = (run / "learned.json").read_bytes()
    assert main(["feedback", str(run), "--data", str(data), "--events", str(said), "--out", str(tmp_path / "b")]) == 0
    assert f"warning: the event of {first}" in capsys.readouterr().out
    assert (run / "learned.json").read_bytes() == original
    assert detections_of(AnomalyDetector.load(tmp_path / "b"), data).events.is_empty()
    # A later verdict replaces an earlier one on the same rows.
    said.write_text(said.read_text().replace(",normal\n", ",anomaly\n"))
    assert main(["feedback", str(tmp_path / "b"), "--data", str(data), "--events", str(said)]) == 0
    stored = json.loads((tmp_path / "b" / "learned.json").read_text())["feedback"]
    assert [one["is_normal"] for one in stored] == [False, False]
    assert detections_of(AnomalyDetector.load(tmp_path / "b"), data).events.height == 2


def test_an_event_is_like_one_that_was_judged(run: Path, tmp_path: Path) -> None:
    folder, values, later = copied(run, tmp_path), machine(900, 3), machine(900, 4)
    heat(values, 300, REAL)
    heat(later, 300, REAL)
    data = csv(tmp_path / "today.csv", values)
    said = verdicts(tmp_path / "v.csv", AnomalyDetector.load(folder), data, ["anomaly"])
    detector = AnomalyDetector.load(folder)
    detector.feedback(data, events=said)
    frame = pl.DataFrame({"time": hours(900, 900)} | dict(zip(CHANNELS, later.T, strict=True)))
    [event] = detections_of(detector, frame).events.to_dicts()
    assert "called anomaly" in event["similar"]
    page = tmp_path / "page.html"
    detections_of(detector, data, page=page)
    assert '"verdict":"anomaly"' in page.read_text(encoding="utf-8")
    assert f"recurra feedback {folder}" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("start,end\n5,6\n", [], "no column 'verdict'"),
        ("start,end,verdict\n5,6,\n", [], "no verdicts"),
        ("start,end,verdict\n5,6,fine\n", [], "line 2: verdict is 'fine', expected normal or anomaly"),
        ("start,end,verdict\n5000,6000,normal\n", [], "no row of"),
        ("start,end,verdict\n5,6,normal\n", ["--undo"], "undo: expected"),
        ("", ["NO EVENTS"], "events: expected a file"),
    ],
)
def test_mistaken_verdicts_are_one_line(
    run: Path, text: str, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "v.csv").write_text(text)
    events = [] if more == ["NO EVENTS"] else ["--events", str(tmp_path / "v.csv"), *more]
    data = csv(tmp_path / "today.csv", machine(100))
    assert main(["feedback", str(run), "--data", str(data), *events]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
def test_a_verdict_in_a_session_is_part_of_its_state(run: Path) -> None:
    stream = AnomalyDetector.load(run).open_stream()
    values = machine(1300, 3)
    heat(values, 300, HARMLESS)
    heat(values, 700, 0.95 * HARMLESS)
    heat(values, 1000, REAL)
    content = stream.new_state().to_bytes()

    def events_of(content: bytes, rows: np.ndarray, verdict: str | None) -> tuple[list[int], bytes]:
        """The events of rows that come after a verdict on the first, and the state after them."""
        state = stream.read_state(content)
        if verdict is not None:
            [answer] = stream.step([{"feedback": {"event": 1, "verdict": verdict}}], [state])
            assert answer["feedback"] == {"event": 1, "verdict": verdict}
            state = stream.read_state(state.to_bytes())
        results = [stream.step([row.tolist()], [state])[0] for row in rows]
        assert all(bool(one["event"]) is one["alarm"] for one in results)
        return sorted({one["event"] for one in results} - {0}), state.to_bytes()

    before, content = events_of(content, values[:500], None)
    assert before == [1]
    assert events_of(content, values[500:], None)[0] == [2, 3]
    taught, later = events_of(content, values[500:], "normal")
    assert taught == [2]
    # The second event of the stream is now the large one; the first is still known, and its verdict can be taken back.
    assert events_of(later, values[600:900], "anomaly")[0] == [3]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"event": 1, "verdict": "normal"}, "of this stream .there is none yet"),
        ({"event": 1}, "event and verdict"),
        ({"event": 1, "verdict": "harmless"}, "normal or anomaly"),
        ({"event": True, "verdict": "normal"}, "number of an event"),
        ({"event": 0, "verdict": "normal"}, "number of an event"),
        ({"event": 1, "verdict": "normal", "why": ""}, "nothing beside it"),
    ],
)
@pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
def test_a_verdict_that_cannot_be_taken_is_refused(run: Path, said: dict[str, Any], message: str) -> None:
    stream = AnomalyDetector.load(run).open_stream()
    with pytest.raises(DataError, match=message):
        stream.step([{"feedback": said}], [stream.new_state()])
