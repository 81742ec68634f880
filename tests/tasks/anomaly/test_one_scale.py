"""A detector whose alarms are those of one score alone."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_machines import CHANNELS, detections_of, frame, machine, tiny
from numpy.testing import assert_allclose

import recurra
from recurra.detection.segments import segments_of
from recurra.detection.two_scales import NEVER
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.pictures import tail_picture


@pytest.fixture(scope="module", params=["slow", "fast"])
def detector(request: pytest.FixtureRequest) -> AnomalyDetector:
    return tiny(scales=request.param, budget="1 in 200").fit(frame(), progress=False)


def faulty() -> np.ndarray:
    values = machine(200, 3)
    values[90, 1] += 40
    values[140:180, 2] += 30
    return values


def test_the_score_is_that_one_in_files_and_streams(detector: AnomalyDetector, tmp_path: Path) -> None:
    values, is_fast = faulty(), detector.scales == "fast"
    scored = detections_of(detector, frame(values)).scored[0]
    assert scored.alarms[140]
    assert np.allclose(scored.scores, scored.distances) == is_fast
    assert (scored.scores > scored.threshold)[scored.alarms].any()
    assert scored.threshold.max() < NEVER
    if is_fast:
        assert (scored.alarms == (scored.scores > scored.threshold)).all()
    stream = detector.open_stream()
    state = stream.new_state()
    results = [stream.step([dict(zip(CHANNELS, row, strict=True))], [state])[0] for row in values.tolist()]
    assert_allclose([one["score"] for one in results], scored.scores, rtol=1e-3, atol=1e-4)
    assert all(one["threshold"] < NEVER for one in results)
    assert any(one["alarm"] for one in results[140:180])
    detector.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert isinstance(again, AnomalyDetector)
    assert detections_of(again, frame(values)).values.equals(detector.predict(frame(values)))


def test_no_alarm_starts_in_the_cool_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = machine(200, 3)
    values[[90, 95, 180], 1] += 40
    tiny(scales="fast", cool_down=40, budget="1 in 200").fit(frame(), progress=False).save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert isinstance(again, AnomalyDetector)
    scored = detections_of(again, frame(values)).scored[0]
    assert (scored.scores > scored.threshold)[[90, 95, 180]].all()
    starts, ends = segments_of(scored.alarms)
    assert {90, 180} <= set(starts.tolist())
    assert (starts[1:] - ends[:-1] > 40).all()
    rows = frame(values).write_csv().encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rows)))
    assert [row["alarm"] for row in again.predictions("-").values] == scored.alarms.tolist()


def test_its_tail_alone_is_plotted(detector: AnomalyDetector, drawn: list[Any]) -> None:
    tail_picture(detector.fitted.learned, 0.01)
    [ax] = drawn[0].axes
    assert detector.scales in ax.get_title(loc="left")
    assert any("one row in 100" in str(line.get_label()) for line in ax.lines)


def test_verdicts_raise_its_threshold_alone(detector: AnomalyDetector, tmp_path: Path) -> None:
    (tmp_path / "verdicts.csv").write_text("start,end,verdict\n2024-03-06 20:00,2024-03-08 11:00,normal\n")
    again = tiny(scales=detector.scales, budget="1 in 200").fit(frame(), progress=False)
    said = "".join(again.feedback(frame(faulty()), events=tmp_path / "verdicts.csv").text())
    assert ("smoothed" in said) == (detector.scales == "slow")
    assert ("single rows'" in said) == (detector.scales == "fast")
    assert "as before" not in said
    assert not detections_of(again, frame(faulty())).scored[0].alarms[145:178].any()
