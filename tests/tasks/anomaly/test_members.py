"""Several networks as one detector."""

import io
from pathlib import Path

import numpy as np
import pytest
from made_machines import csv, detections_of, frame, machine, tiny
from numpy.testing import assert_allclose

import recurra
from recurra.cli.main import main
from recurra.detection.two_scales import reference_threshold
from recurra.errors import StreamError
from recurra.models.detector_errors import all_scores, member_parts, networks_of
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.scoring import parts_of

WAYS = (False, True)


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    values = machine(300)
    values[100:103, 2] = np.nan
    return tiny(members=2, contamination=0.02).fit(frame(values), progress=False)


@pytest.fixture(scope="module")
def both() -> AnomalyDetector:
    return tiny(detector="both").fit(frame(machine(300)), progress=False)


@pytest.mark.parametrize("which", ["detector", "both"])
def test_scores_are_averages_in_units_of_what_one_row_of_10000_exceeds(
    which: str, request: pytest.FixtureRequest
) -> None:
    found: AnomalyDetector = request.getfixturevalue(which)
    learned, networks = found.fitted.learned, networks_of(found.fitted.network)
    assert learned.errors is not None
    assert len(networks) == len(learned.errors.members) == 2
    values = machine(150, 1)
    whole = all_scores(parts_of(found.fitted, values, WAYS))
    each = zip(networks, learned.errors.members, strict=True)
    alone = [all_scores(member_parts(learned.statistics, network, member, values, WAYS)) for network, member in each]
    assert not np.allclose(alone[0], alone[1])
    weights = np.array([member.weights for member in learned.errors.members])
    assert weights[0] == pytest.approx([0.5, 0.5])
    assert_allclose(whole[:2], sum(w * one[:2] for w, one in zip(weights[:, 0], alone, strict=True)), rtol=1e-9)
    squares = sum(w * one[2] ** 2 for w, one in zip(weights[:, 1], alone, strict=True))
    assert_allclose(whole[2] ** 2, squares, rtol=1e-9, atol=1e-12)
    detections = detections_of(found, frame(values))
    assert (detections.scored[0].distances == whole[2]).all()


def test_members_count_alike_at_the_same_tail_probability() -> None:
    values = machine(700)
    found = tiny(members=2, validation_fraction=0).fit(frame(values), progress=False).fitted
    assert found.learned.errors is not None
    rows = slice(len(values) - len(found.learned.errors.scores), None)
    each = zip(networks_of(found.network), found.learned.errors.members, strict=True)
    alone = [all_scores(member_parts(found.learned.statistics, *pair, values, (False,)))[:, rows] for pair in each]
    slow = [
        w.weights[0] * reference_threshold(one[0]) for w, one in zip(found.learned.errors.members, alone, strict=True)
    ]
    fast = [
        w.weights[1] * reference_threshold(one[1]) ** 2
        for w, one in zip(found.learned.errors.members, alone, strict=True)
    ]
    assert slow[0] == pytest.approx(slow[1], rel=1e-6)
    assert fast[0] == pytest.approx(fast[1], rel=1e-6)


@pytest.mark.parametrize("which", ["detector", "both"])
def test_saved_evaluated_and_inspected(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found: AnomalyDetector = request.getfixturevalue(which)
    found.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    data = frame(machine(120, 1), np.arange(120) == 60)
    assert again.predict(data).equals(found.predict(data))
    assert again.predict(data, hindsight=True).equals(found.predict(data, hindsight=True))
    assert np.isfinite(again.evaluate(data).score)
    facts = again.inspect(data, progress=False).words.facts
    assert facts["network"].endswith("it is the first of 2 networks whose scores are averaged")


@pytest.mark.parametrize("which", ["detector", "both"])
def test_later_values_change_nothing_before_them(which: str, request: pytest.FixtureRequest) -> None:
    found: AnomalyDetector = request.getfixturevalue(which)
    values = machine(160, 5)
    changed = values.copy()
    changed[90:] += 50
    one, other = (detections_of(found, frame(rows)).scored[0] for rows in (values, changed))
    for name in ("scores", "threshold", "alarms", "probability"):
        assert np.array_equal(getattr(one, name)[:90], getattr(other, name)[:90]), name
    assert not np.array_equal(one.scores, other.scores)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"members": 2}, {"detector": "both", "cell": "gru"}])
def test_resumed_is_as_undisturbed(tmp_path: Path, options: dict[str, object]) -> None:
    options = options | {"schedule": "constant"}
    whole = tiny(**options, max_steps=6).fit(frame(), progress=False)
    tiny(**options, max_steps=3).fit(frame(), folder=tmp_path / "run", progress=False)
    resumed = tiny(**options, max_steps=6).fit(frame(), folder=tmp_path / "run", resume=True, progress=False)
    assert resumed.predict(frame()).equals(whole.predict(frame()))


def test_rows_are_judged_one_by_one_as_together(detector: AnomalyDetector) -> None:
    values = machine(60, 2)
    values[30, 1] = np.nan
    expected = detections_of(detector, frame(values))
    stream = detector.open_stream()
    state = stream.new_state()
    for k, row in enumerate(values):
        [result] = stream.step([[None if np.isnan(value) else float(value) for value in row]], [state])
        assert result["fast"] == pytest.approx(expected.scored[0].distances[k], rel=1e-3, abs=1e-4)
        if k:
            shown = list(result["expected"].values())
            assert_allclose(shown, expected.scored[0].expected[k], rtol=1e-4)


def test_both_kinds_are_refused_row_by_row(
    both: AnomalyDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StreamError, match="detector='forecast'"):
        both.open_stream()
    both.save(tmp_path / "run")
    data = csv(tmp_path / "rows.csv")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data.read_bytes())))
    for command in (["predict", "--data", "-"], ["export", "--to", "c"]):
        assert main([command[0], str(tmp_path / "run"), *command[1:]]) != 0
        assert "detector='forecast'" in capsys.readouterr().err


def test_it_is_exported(detector: AnomalyDetector, tmp_path: Path) -> None:
    detector.export(to="c", name="pump").write(tmp_path / "c")
    assert "pump_step" in (tmp_path / "c" / "pump.h").read_text(encoding="utf-8")
