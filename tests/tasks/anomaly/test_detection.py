"""What a trained detector finds, and that no score uses what comes after its row."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from made_machines import CHANNELS, detections_of, frame, machine
from numpy.testing import assert_allclose

from recurra.tasks.anomaly import AnomalyDetector, Detections

START, END = 300, 360


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    options = {"hidden_size": 16, "max_steps": 600, "seed": 1, "device": "cpu"}
    return AnomalyDetector(budget="1 in 20000", **options).fit(frame(machine(2000, 7)), progress=False)


def spike(values: np.ndarray) -> None:
    values[START : START + 2, 1] += 10


def level_shift(values: np.ndarray) -> None:
    values[START:END, 2] += 9


def frozen(values: np.ndarray) -> None:
    values[START:END, 0] = values[START, 0]


def broken_correlation(values: np.ndarray) -> None:
    """The current follows the load half a period late: its values are as usual, beside those of the speed."""
    values[START:END, 1] = values[START - 12 : END - 12, 1]


@pytest.mark.parametrize(
    ("fault", "channel"),
    [(spike, "current"), (level_shift, "heat"), (frozen, "speed"), (broken_correlation, "current")],
)
def test_a_fault_is_one_event_of_its_channel(
    detector: AnomalyDetector, fault: Callable[[np.ndarray], None], channel: str
) -> None:
    values = machine(600, 3)
    fault(values)
    found = detections_of(detector, frame(values))
    assert found.events.height == 1
    event = found.events.row(0, named=True)
    assert event["channels"].startswith(f"{channel} ")
    rows = np.flatnonzero(found.values["alarm"].to_numpy())
    assert START <= rows[0] < START + 25
    assert rows[-1] < END + 120
    at_peak = found.values.filter(pl.col("time") == event["peak"]).row(0, named=True)
    assert (at_peak["channel"], at_peak["event"]) == (channel, 1)
    assert (event["value"], event["expected"]) == (at_peak["value"], at_peak["expected"])
    assert event["probability"] < 1 / 20000


def test_normal_rows_raise_no_alarm_from_their_first_on(detector: AnomalyDetector) -> None:
    found = detections_of(detector, frame(machine(1500, 12)))
    assert found.events.is_empty()
    scores = found.values["score"].to_numpy()
    assert scores[:100].max() < 1.5 * scores[100:].max()
    assert 0.5 < scores[100:].mean() < 2
    expected = found.values.filter(pl.col("channel") == "speed").tail(300)
    assert abs(expected["expected"] - 100).max() < 20  # type: ignore[operator]


def test_a_narrower_budget_raises_fewer_alarms(detector: AnomalyDetector) -> None:
    data = frame(machine(1500, 11))
    alarms = [detector.predict(data, budget=budget)["alarm"].sum() for budget in ("1 in 5", "1 in 50", "1 in 50000")]
    assert alarms[0] > alarms[1] > alarms[2] == 0


def _same_before(one: Detections, other: Detections, row: int) -> bool:
    """Whether the rows before this one are equal bit for bit, in all that is said of them."""
    first, second = one.scored[0], other.scored[0]
    return (
        np.array_equal(first.parts[:row], second.parts[:row])
        and np.array_equal(first.probability[:row], second.probability[:row])
        and np.array_equal(first.threshold[:row], second.threshold[:row])
        and np.array_equal(first.expected[:row], second.expected[:row], equal_nan=True)
        and np.array_equal(first.alarms[:row], second.alarms[:row])
        and one.values[:row].equals(other.values[:row])
    )


@pytest.mark.parametrize("row", [1, 2, 150, 299])
@pytest.mark.parametrize("change", ["large", "missing", "other"])
def test_later_values_change_nothing_before_them(detector: AnomalyDetector, row: int, change: str) -> None:
    values = machine(300, 5)
    values[40:60:3, 1] = np.nan
    spike(values[:-100])
    changed = values.copy()
    if change == "large":
        changed[row:] = 1e6
    elif change == "missing":
        changed[row:, 0] = np.nan
    else:
        changed[row:] += 1
    plain, other = (detections_of(detector, frame(one)) for one in (values, changed))
    assert _same_before(plain, other, row)
    assert not _same_before(plain, other, 300)


@pytest.mark.parametrize("row", [5, 100, 200])
def test_a_prefix_has_the_scores_of_the_whole(detector: AnomalyDetector, row: int) -> None:
    values = machine(300, 5)
    whole, prefix = (detector.predict(frame(one)) for one in (values, values[:row]))
    for name in ("score", "probability"):
        assert_allclose(prefix[name].to_numpy(), whole[name].to_numpy()[:row], rtol=1e-4, atol=1e-6)


def test_hindsight_uses_later_values(detector: AnomalyDetector) -> None:
    values = machine(300, 5)
    changed = values.copy()
    changed[200:] += 30
    plain, other = (detector.predict(frame(one), hindsight=True)["score"].to_numpy() for one in (values, changed))
    assert other[199] > 2 * plain[199]


def test_hindsight_centres_a_fault(detector: AnomalyDetector) -> None:
    values = machine(600, 3)
    frozen(values)
    found = detections_of(detector, frame(values), hindsight=True).events.row(0, named=True)
    assert found["channels"].startswith("speed ")
    assert START <= int((found["peak"] - frame(values)["time"][0]).total_seconds() / 3600) < END


def test_rows_of_a_channel_that_is_missing_add_nothing_to_it(detector: AnomalyDetector) -> None:
    values = machine(400, 5)
    values[200:, 2] = np.nan
    found = detections_of(detector, frame(values))
    assert found.events.is_empty()
    (scored,) = found.scored
    assert abs(scored.parts[390:, 2]).max() < 1e-3 * scored.parts[390:, 0].max()


@pytest.mark.slow
def test_short_spikes_are_found_although_the_period_is_long() -> None:
    t, generator = np.arange(4000), np.random.default_rng(0)
    values = np.sin(2 * np.pi * t / 250)[:, None] + 0.05 * generator.normal(size=(4000, 1))
    options = {"hidden_size": 16, "max_steps": 300, "seed": 1, "device": "cpu"}
    detector = AnomalyDetector(budget="1 in 5000", **options).fit(values[:3000], progress=False)
    assert detector.fitted.learned.period > 200
    for size in (0.3, 1000.0):
        later = values[3000:].copy()
        later[[500, 800]] += size * np.array([[1], [1.2]])
        found = detector.predict(later)
        assert found["alarm"][500] == found["alarm"][800] == 1
        # Beyond what the network reads, a spike that is larger still has a higher score.
        assert found["score"][800] > 1.1 * found["score"][500]
        # Alarms of single rows end with them. Only a huge spike is seen in the smoothed score as well.
        assert (found["alarm"].sum() < 20) == (size < 1)


def test_names_are_the_channels(detector: AnomalyDetector) -> None:
    assert detector.fitted.learned.channels == CHANNELS
    assert 20 <= detector.fitted.learned.period <= 30


def test_an_alarm_after_a_short_gap_continues_the_event_and_not_the_gap(detector: AnomalyDetector) -> None:
    values = machine(600, 3)
    values[[300, 324], 1] += 6
    found = detections_of(detector, frame(values))
    (scored,) = found.scored
    inside = np.zeros(len(values), bool)
    for event in scored.events:
        inside[event.start : event.end] = True
    gaps = inside & ~scored.alarms
    assert gaps.any()
    assert set(found.values["event"].to_numpy()[gaps]) == {0}
    assert np.array_equal(found.values["event"].to_numpy() > 0, scored.alarms)
    assert found.events.height < 1 + np.count_nonzero(np.diff(scored.alarms.astype(int)) == 1)


def test_an_event_names_the_most_similar_earlier_one(detector: AnomalyDetector) -> None:
    values = machine(1500, 3)
    for start in (300, 900):
        values[start : start + 60, 2] += 9
    values[600:602, 1] += 10
    found = detections_of(detector, frame(values))
    by_start = found.events.sort("start").to_dicts()
    assert len(by_start) == 3
    first, spiked, again = by_start
    assert (first["similar"], spiked["similar"]) == (None, None)
    assert again["similar"].startswith(str(first["start"])[:10])


def test_drift_is_said_with_its_channel_and_the_command_that_retrains(detector: AnomalyDetector) -> None:
    values = machine(1500, 12)
    assert not list(detections_of(detector, frame(values)).remarks())
    values[900:, 1] += 0.5 * np.random.default_rng(0).normal(size=600)
    fact, advice = detections_of(detector, frame(values)).remarks()
    assert "most in current" in fact
    assert "2024-04-0" in fact  # row 900 is 37 days after the first of March
    assert "recurra train anomaly --data 'the data' --out runs/anomaly-retrained" in advice
    assert "--budget '1 in 20000'" in advice
    assert "--hidden-size 16" in advice
