"""Results of a detector: rows, events, and scores beside simple detectors."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.data.files.standard_input import SOURCE, standard_input_lines
from recurra.data.series.channels import ChannelSeries, ChannelSet, duration
from recurra.data.series.line_clock import LineClock
from recurra.data.series.line_rows import LineRows
from recurra.data.series.native_frame import native_frame
from recurra.detection.alarms import CoolDown
from recurra.detection.drift import Drift
from recurra.detection.isolation import isolation_scores
from recurra.detection.metrics.summary import (
    Detector,
    area_scores,
    early_scores,
    event_summary,
    point_adjusted_scores,
    range_summary,
)
from recurra.detection.period import period_of
from recurra.detection.segments import segments_of
from recurra.errors import DataError, MissingExtraError
from recurra.files import prepare_folder, write_text
from recurra.task import Evaluation
from recurra.task.results import Predictions, Table, TablePredictions
from recurra.tasks.anomaly.events import (
    SimilarEvent,
    drifting_channels,
    drifts,
    page_of_events,
    similar_events,
)
from recurra.tasks.anomaly.learned import AnomalyLearned
from recurra.tasks.anomaly.pictures import plot_detections, plot_tails
from recurra.tasks.anomaly.scoring import (
    FittedDetector,
    Scored,
    adaptive_limits,
    alarm_switch,
    baseline_scores,
    drift_watch,
    open_stream,
    rows_in_alarm,
    score,
    two_scales,
)
from recurra.text_table import text_table

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyReading

__all__ = ["Detections", "LiveDetections", "evaluate", "make_detections"]

_log = logging.getLogger("recurra.anomaly")

_SHOWN = 10
_MOST_CHANNELS = 3
_LEAST_FRACTION = 0.1


@dataclass(frozen=True, repr=False)
class Detections(TablePredictions[Any]):
    """Scores, alarms and events of series.

    Attributes:
        data: the series.
        scored: the scores of each.
        learned: of the detector.
        probability: of a false alarm, a row.
        retrain: the command that trains a detector like this one on these data.
        feedback: the command that takes verdicts on the events; empty: there is none.
        hindsight: whether scores are smoothed in both directions.
    """

    data: ChannelSet
    scored: tuple[Scored, ...]
    learned: AnomalyLearned
    probability: float
    retrain: str = ""
    feedback: str = ""
    hindsight: bool = False

    @property
    def read_from(self) -> Path | None:  # type: ignore[override]
        """The file of the rows. None: there was none."""
        path = Path(self.data.source)
        return path if path.is_file() else None

    @property
    def values(self) -> Any:
        """The frame, as pandas if the data came as pandas. Stamps are of the kind and in the zone that came."""
        data = self.data
        return native_frame(self.frame, data.library, data.columns.time, self._stamps, data.form)

    @property
    def frame(self) -> pl.DataFrame:
        """A row for each that came; see `AnomalyDetector.predictions`."""
        return pl.concat([self._rows(one, scored) for one, scored in zip(self.data, self.scored, strict=True)])

    @cached_property
    def events(self) -> pl.DataFrame:
        """A row for each event.

        series, event, start, end (its last row), peak, rows, score, probability, channels, value and expected (of the
        first channel at the peak), and the most similar earlier event with its distance in brackets; null if none is
        similar.
        """
        rows = []
        for series, scored, similar in zip(self.data, self.scored, self.similar, strict=True):
            stamps = self.data.form.column(series.stamps)
            for number, event in enumerate(scored.events, 1):
                rows.append(
                    {
                        "series": series.id,
                        "event": number,
                        "start": stamps[event.start],
                        "end": stamps[event.end - 1],
                        "peak": stamps[event.peak],
                        "rows": event.end - event.start,
                        "score": event.score,
                        "probability": float(scored.probability[event.peak]),
                        "channels": self._channels(scored, event.start, event.end),
                        "value": self._shown(series, scored, event.peak, "value"),
                        "expected": self._shown(series, scored, event.peak, "expected"),
                        "similar": None if (one := similar[number - 1]) is None else one.text,
                    }
                )
        columns = ("series", "event", "start", "end", "peak", "rows", "score", "probability", "channels")
        names = (*columns, "value", "expected", "similar")
        return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame({name: [] for name in names})

    @cached_property
    def similar(self) -> list[list[SimilarEvent | None]]:
        """Of each event of each series the most similar earlier one."""
        return similar_events(self.learned, self.data, self.scored)

    def text(self, color: bool = False) -> Iterator[str]:
        count = len(self.events)
        number = "no events" if not count else "1 event" if count == 1 else f"{count:,} events"
        yield f"{self.data.source}: {self.data.count_in_words()}, {number}\n"
        if count:
            worst = self.events.sort("score", descending=True).head(_SHOWN).sort("series", "event")
            left_out = {"event", "peak"} | ({"series"} if len(self.data) == 1 else set())
            left_out |= set() if worst["similar"].count() else {"similar"}
            names = [name for name in worst.columns if name not in left_out]
            lines = [[_cell(value) for value in row] for row in worst.select(names).rows()]
            more = f"\nThe {_SHOWN} with the highest scores are shown.\n" if count > _SHOWN else "\n"
            yield f"\n{text_table([list(names), *lines])}{more}"

    def remarks(self, color: bool = False) -> Iterator[str]:
        yield from self.drifts

    @cached_property
    def drifts(self) -> list[str]:
        """What is to be said of series whose errors have become larger as a whole; see `recurra.detection.drift`."""
        return drifts(self.learned, self.data, self.scored, self.retrain)

    @property
    def written(self) -> pl.DataFrame:
        """The frame, with stamps as they stand in the file."""
        frame = self.frame
        if self.data.columns.time is not None and self.data.columns.time in frame.columns:
            frame = frame.with_columns(self.data.form.written(self._stamps).alias(self.data.columns.time))
        return frame

    def with_ids(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with its column of ids, which that of a single series lacks."""
        name = self.data.columns.id
        if name is None or len(self.data) > 1:
            return frame
        return frame.select(pl.Series(name, [self.data.series[0].id] * frame.height, pl.String), pl.all())

    def table(self) -> Table:
        """The rows, with stamps as they stand in the file."""
        frame = self.written
        return Table(tuple(frame.columns), [[_plain(value) for value in row] for row in frame.rows()])

    def write(self, path: str | Path) -> list[Path]:
        """Write the rows as CSV; beside them the events, `NAME.events.csv`, and their page, `NAME.events.html`.

        See `Result.write`.
        """
        target = Path(path)
        prepare_folder(target.parent)
        name = target.name.removesuffix(".csv")
        beside, page = (target.with_name(f"{name}.events.{ending}") for ending in ("csv", "html"))
        write_text(beside, _event_table(self).csv())
        self.write_page(page)
        write_text(target, self.table().csv())
        return [target, beside, page]

    def write_page(self, path: str | Path) -> None:
        """Write an HTML file to look through the events. It needs no other file and no network."""
        target = Path(path)
        prepare_folder(target.parent)
        facts = {"budget": _budget(self.learned, self.probability)}
        page = page_of_events(
            self.learned,
            self.data,
            self.scored,
            self.similar,
            self.probability,
            facts=facts,
            notes=self.drifts,
            feedback=self.feedback,
            hindsight=self.hindsight,
        )
        write_text(target, page)

    def plot(self, path: str | Path) -> None:
        """Plot the first series, its scores and events into a PNG file."""
        plot_detections(self.data, 0, self.scored[0], Path(path))

    def __repr__(self) -> str:
        return f"Detections({self.data.source}: {self.data.rows:,} rows, {len(self.events):,} events)"

    @property
    def _stamps(self) -> NDArray[Any]:
        """Those of the rows of all series."""
        return np.concatenate([one.stamps for one in self.data])

    def _rows(self, series: ChannelSeries, scored: Scored) -> pl.DataFrame:
        columns: dict[str, Any] = {}
        if len(self.data) > 1 and self.data.columns.id:
            columns[self.data.columns.id] = [series.id] * len(series)
        if self.data.columns.time is not None:
            columns[self.data.columns.time] = self.data.form.column(series.stamps)
        numbers = np.zeros(len(series), np.int64)
        for number, event in enumerate(scored.events, 1):
            numbers[event.start : event.end] = number
        numbers *= scored.alarms
        top = scored.parts.argmax(axis=1)
        at = np.arange(len(series))
        own = {
            "score": scored.scores,
            "probability": scored.probability,
            "alarm": scored.alarms.astype(np.int64),
            "event": numbers,
            "channel": np.array(self.data.channels)[top],
            "value": pl.Series(series.values[at, top]).fill_nan(None),
            "expected": pl.Series(scored.expected[at, top]).fill_nan(None),
        }
        return pl.DataFrame(columns | {f"{name}_" if name in columns else name: own[name] for name in own})

    def _channels(self, scored: Scored, start: int, end: int) -> str:
        """The channels that add most to the scores of some rows, in percent of them."""
        main = scored.main_channels(start, end, _MOST_CHANNELS, _LEAST_FRACTION)
        return ", ".join(f"{self.data.channels[k]} {100 * fraction:.0f} %" for k, fraction in main)

    def _shown(self, series: ChannelSeries, scored: Scored, row: int, what: str) -> float:
        top = int(scored.parts[row].argmax())
        return float((series.values if what == "value" else scored.expected)[row, top])


class LiveDetections(Predictions[Iterator[dict[str, Any]]]):
    """Rows of CSV from standard input, judged as they come. The first line names the columns.

    The rows are those of one series. A threshold that was calibrated in training adapts, as `Detections` does.

    Args:
        fitted: a detector whose training has ended.
        probability: of a false alarm, a row.
        reading: how files are read: the column of the stamps, which are written as they came; their form; and the
            decimal mark, by default that of the training file.
        retrain: the command that trains a detector like this one anew.
    """

    streams = True

    def __init__(self, fitted: FittedDetector, probability: float, reading: "AnomalyReading", retrain: str) -> None:
        self._watch, self._retrain = drift_watch(fitted.learned), retrain
        assert fitted.learned.errors is not None
        self._learned, self._time, self._date_format = fitted.learned, reading.time_column, reading.date_format
        self._decimal = reading.decimal or fitted.learned.decimal
        self._stream = open_stream(fitted, probability, "float32")
        self._scales = two_scales(fitted.learned, probability)

    @property
    def values(self) -> Iterator[dict[str, Any]]:
        """A dictionary for each row: stamp, score, probability, alarm, channel, value and what was expected."""
        state = self._stream.new_state()
        switch, drift, is_drifting = alarm_switch(self._learned), self._watch.new_state(), False
        cool_down = CoolDown(self._learned.cool_down)
        rows = LineRows(standard_input_lines(), SOURCE, self._learned.statistics.names, self._decimal)
        clock = self._clock(rows.columns)
        for number, cells, row in rows:
            passed = {} if clock is None else {clock.column: clock.elapsed(cells[clock.column], number)}
            [result] = self._stream.step([row | passed], [state])
            judged = self._scales.step(result["slow"], result["fast"])
            in_alarm = switch.step(result["slow"], float(judged.slow_threshold), result["short"])
            stamp = {} if self._time is None else {self._time: cells.get(self._time, "")}
            look = self._watch.step(drift, result["fast"])
            if look is not None and is_drifting != self._watch.is_drift(look):
                is_drifting = not is_drifting
                self._say_drift(look if is_drifting else None, number, stamp, result["parts"])
            channel = result["channel"]
            yield stamp | {
                "score": result["score"],
                "probability": float(judged.probability),
                "alarm": int(cool_down.step(bool(in_alarm or judged.fast_alarm))),
                "channel": channel,
                "value": row[channel],
                "expected": result["expected"][channel],
            }

    def _clock(self, names: list[str]) -> LineClock | None:
        """What tells the time between rows. None: the network does not read it. Raises DataError."""
        times = self._learned.statistics.times
        if times is None:
            return None
        if times.column not in names:
            raise DataError(f"{SOURCE}, line 1: expected a column {times.column}, the times that the network reads.")
        return LineClock(times, SOURCE, self._date_format)

    def text(self, color: bool = False) -> Iterator[str]:
        for number, row in enumerate(self.values):
            table = Table(tuple(row), [[_plain(value) for value in row.values()]]).csv()
            yield table if not number else table.partition("\n")[2]

    def write(self, path: str | Path) -> list[Path]:
        """Write the rows of the whole input as CSV; see `Result.write`."""
        target = Path(path)
        prepare_folder(target.parent)
        write_text(target, "".join(self.text()))
        return [target]

    def _say_drift(self, look: Drift | None, line: int, stamp: dict[str, Any], parts: dict[str, float]) -> None:
        """Say once that a drift has begun, or that it is over."""
        at = f"{SOURCE}, line {line}{''.join(f', {one}' for one in stamp.values())}"
        if look is None:
            _log.info("%s: errors are again as in training", at)
            return
        message = (
            "%s: errors are %.2g times those of training for %d rows, most in %s; if these are normal, retrain: %s"
        )
        channels = drifting_channels(self._learned.channels, np.array(list(parts.values())))
        _log.warning(message, at, look.ratio, look.steps, channels, self._retrain)


def make_detections(
    fitted: FittedDetector, data: ChannelSet, probability: float, hindsight: bool = False, retrain: str = ""
) -> Detections:
    """Score every series.

    Args:
        fitted: a detector whose training has ended.
        data: with the channels of training.
        probability: of a false alarm, a row.
        hindsight: see `AnomalyDetector.predictions`.
        retrain: the command that trains a detector like this one on these data.

    Raises:
        DataError: the channels are others.
    """
    statistics = fitted.learned.statistics
    statistics.check_like(data)
    scored = tuple(score(fitted, one.values, probability, hindsight, statistics.elapsed(one)) for one in data)
    return Detections(data, scored, fitted.learned, probability, retrain, hindsight=hindsight)


def evaluate(
    fitted: FittedDetector, data: ChannelSet, probability: float, hindsight: bool, point_adjustment: bool
) -> Evaluation:
    """Compare with labels; see `AnomalyDetector.evaluate`."""
    if any(one.labels is None for one in data):
        named = data.columns.label
        lacking = f"there is no column {named!r} of labels" if named else "the anomalies are not known"
        way_out = "Name the column of labels (--label-column), or a file of windows (--windows)."
        raise DataError(f"{data.source}: {lacking}. {way_out}")
    if not any(one.labels is not None and one.labels.any() for one in data):
        raise DataError(f"{data.source}: no row is labelled as an anomaly. Evaluate on rows with an anomaly.")
    if all(one.labels is None or one.labels.all() or not one.labels.any() for one in data):
        raise DataError(
            f"{data.source}: no series has both anomalous and other rows. Label the anomalous rows alone, or give more."
        )
    detections = make_detections(fitted, data, probability, hindsight)
    learned, labels = fitted.learned, [_labels(one) for one in data]
    assert learned.errors is not None
    alarms = [one.alarms for one in detections.scored]
    standard = [learned.statistics.standardize(one.values) for one in data]
    filled = [learned.statistics.watched(learned.statistics.filled(one)) for one in standard]
    detectors = {"model": Detector(labels, [one.scores for one in detections.scored], alarms)}
    seed = int(fitted.options["seed"])
    simple = [baseline_scores(learned, one, hindsight, seed) for one in standard]
    for name, clean in zip(simple[0], learned.errors.baselines[int(hindsight)], strict=True):
        scores = [one[name] for one in simple]
        thresholds = [adaptive_limits(clean, probability).run(one)[1] for one in scores]
        detectors[name] = Detector(labels, scores, list(map(rows_in_alarm, scores, thresholds)))
    notes = _notes(learned, probability, hindsight)
    try:
        isolated = isolation_scores(filled, 2 * learned.period, seed, hindsight)
        detectors["isolation forest"] = Detector(labels, isolated)
        notes.append("The isolation forest is grown from the evaluated rows, without their labels; it has no alarms.")
    except MissingExtraError as error:
        notes.append(f"The isolation forest is left out: {error}")
    # The widest window of VUS-PR is the period of the first channel, as in TSB-AD.
    windows = [period_of(one[:, 0]) for one in filled]
    methods = {name: area_scores(one, windows) for name, one in detectors.items()}
    ranges = {name: early_scores(one) for name, one in detectors.items()}
    adjusted = {}
    for name, one in detectors.items():
        if one.alarms is not None:
            methods[name] |= event_summary(one, data.step_seconds)
            ranges[name] = range_summary(one) | ranges[name]
            adjusted[name] = point_adjusted_scores(one) if point_adjustment else {}
    main = methods["model"]
    if "delay, rows" in main and learned.step_seconds:
        notes.append(f"The mean delay is {duration(main['delay, rows'] * learned.step_seconds)}.")
    events = sum(len(segments_of(one)[0]) for one in labels)
    tables = {"rows": detections.table(), "events": _event_table(detections), "ranges": _method_table(ranges)}
    if point_adjustment:
        tables["point_adjusted"] = _method_table(adjusted)
        notes.append(
            "Point adjustment inflates scores: an event counts as detected at each of its rows if it is at one, and "
            "random scores then exceed published detectors (Kim et al. 2022). Compare with figures published so alone."
        )
    return Evaluation(
        f"{data.source}: {data.count_in_words()}, {events} labelled event{'' if events == 1 else 's'}",
        methods,
        "VUS-PR",
        formats={"delay, rows": ".1f", "false alarms a day": ".2f", "false alarms per 1000 rows": ".2f"},
        losses=frozenset({"delay, rows", "false alarms a day", "false alarms per 1000 rows"}),
        tables=tables,
        notes=notes,
        facts={
            "source": data.source,
            "rows": data.rows,
            "events": events,
            "hindsight": hindsight,
            "ranges": ranges,
            **({"point_adjusted_and_inflated": adjusted} if point_adjustment else {}),
        },
        pictures={
            "detections": partial(plot_detections, data, 0, detections.scored[0]),
            "tail": partial(plot_tails, learned, probability, hindsight=hindsight),
        },
    )


def _method_table(methods: dict[str, dict[str, float]]) -> Table:
    """Scores by method, which the terminal shows too: NAB's as they are, others in percent."""
    names = list(dict.fromkeys(name for scores in methods.values() for name in scores))
    heads = ["", *(name if name.startswith("NAB") else f"{name}, %" for name in names)]
    lines = []
    for method, scores in methods.items():
        factors = [1 if name.startswith("NAB") else 100 for name in names]
        cells = [f"{scores[name] * by:.2f}" if name in scores else "" for name, by in zip(names, factors, strict=True)]
        lines.append([method, *cells])
    rows = [[method, *(scores.get(name, "") for name in names)] for method, scores in methods.items()]
    return Table(("method", *names), rows, text_table([heads, *lines]))


def _labels(series: ChannelSeries) -> NDArray[np.bool_]:
    """The labels (T,), which `evaluate` has made sure of."""
    assert series.labels is not None
    return series.labels


def _event_table(detections: Detections) -> Table:
    events = detections.events
    return Table(tuple(events.columns), [[_plain(value) for value in row] for row in events.rows()])


def _notes(learned: AnomalyLearned, probability: float, hindsight: bool) -> list[str]:
    notes = [f"The budget is {_budget(learned, probability)}; alarms in a row count as one."]
    if hindsight:
        notes.append("Scores are smoothed in both directions: they use rows that come later.")
    notes.append(
        "NAB's scores are at the threshold that is best for them, as NAB has it; other figures are at the budget."
    )
    return notes


def _budget(learned: AnomalyLearned, probability: float) -> str:
    every = 1 / probability
    time = f" ({duration(every * learned.step_seconds)})" if learned.step_seconds else ""
    return f"a false alarm in {every:,.0f} rows{time}"


def _plain(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).removesuffix(" 00:00:00").removesuffix(".000000")
