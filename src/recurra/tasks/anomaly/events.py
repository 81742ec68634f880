"""Events as a person looks through and judges them: how rare, which earlier one is similar, the page, verdicts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.series.channels import ChannelSeries, ChannelSet, duration
from recurra.data.series.labels import read_verdicts
from recurra.detection.alarms import Event
from recurra.detection.feedback import Feedback, Stretch
from recurra.detection.similar import SIMILAR, EventPattern, most_similar
from recurra.detection.two_scales import NEVER
from recurra.inspection.events import Curve, EventPage, Explanation, Overview, ShownEvent, Similar, event_page
from recurra.models.detector_errors import all_scores
from recurra.task.results import Result
from recurra.tasks.anomaly.learned import AnomalyLearned
from recurra.tasks.anomaly.pictures import tail_picture
from recurra.tasks.anomaly.scoring import SCALES, FittedDetector, Scored, drift_watch, parts_of, score, two_scales

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyDetector

__all__ = [
    "SimilarEvent",
    "UpdatedDetector",
    "drifting_channels",
    "drifts",
    "forget_verdicts",
    "page_of_events",
    "rarity",
    "short_stamps",
    "similar_events",
    "take_verdicts",
]

_MOST_EVENTS = 100  # on the page
_MOST_SERIES = 20  # whose scores the page shows as a whole
_MOST_POINTS = 500  # of a chart
_MOST_PARTS = 800  # of an overview
_MOST_CHANNELS = 6
_LEAST_FRACTION = 0.03
_AROUND = (24, 2.0)  # rows before and after an event, at least, and times its length
_MOST_DRIFTING = 3  # channels that are named
_BAND = 2  # deviations
_FURTHEST = 100  # times as many rows as the scores that a tail is fitted to: it says nothing of what is rarer


@dataclass(frozen=True)
class SimilarEvent:
    """The nearest earlier event.

    Attributes:
        where: in words.
        distance: from 0 to 1; see `recurra.detection.similar`.
        position: the indices of its series and of its event there. None: it is one that the run has stored.
    """

    where: str
    distance: float
    position: tuple[int, int] | None

    @property
    def text(self) -> str:
        """What a table says."""
        return f"{self.where} ({self.distance:.2f})"


@dataclass(frozen=True)
class _Odds:
    """In how many normal rows there is one with such a score: `rows`, or more than so many."""

    rows: float
    more: bool

    @classmethod
    def of(cls, learned: AnomalyLearned, probability: float, budget: float) -> "_Odds":
        assert learned.errors is not None
        most = max(float(_FURTHEST * len(learned.errors.scores)), 1 / budget)
        rows = min(1 / max(probability, 0.5 / most), most)
        return cls(float(f"{rows:.3g}"), probability * most < 1)


def rarity(learned: AnomalyLearned, probability: float, budget: float, step_seconds: float | None) -> str:
    """How rare a score is among those of normal rows, in words.

    Args:
        learned: of the detector.
        probability: that a normal row has such a score or a higher one.
        budget: the probability of a false alarm, a row.
        step_seconds: between rows. None: they have no times.
    """
    odds = _Odds.of(learned, probability, budget)
    time = f" ({duration(odds.rows * step_seconds)})" if step_seconds else ""
    return f"{'rarer than' if odds.more else 'as rare as'} one in {odds.rows:,.0f} rows{time}"


def similar_events(
    learned: AnomalyLearned, data: ChannelSet, scored: tuple[Scored, ...]
) -> list[list[SimilarEvent | None]]:
    """Of each event of each series the nearest earlier one, of these data or of those that the run has stored.

    An earlier event of these data has begun sooner, in any series. None: there is none, or none within
    `recurra.detection.similar.SIMILAR`.
    """
    own: list[tuple[Any, str, EventPattern, tuple[int, int]]] = []
    for index, (series, one) in enumerate(zip(data, scored, strict=True)):
        for number, event in enumerate(one.events):
            begin = series.stamps[event.start]
            [where] = short_stamps(data, series.stamps[[event.start]])
            where = f"{series.id}, {where}" if len(data) > 1 else where
            own.append((begin, where, one.pattern(series.values, event.start, event.end), (index, number)))
    stored = []
    if learned.feedback is not None:
        stored = [(one.start, f"{one.where}, called {one.verdict}", one.pattern) for one in learned.feedback.stretches]
    similar: list[list[SimilarEvent | None]] = [[None] * len(one.events) for one in scored]
    for start, _, pattern, (index, number) in own:
        earlier = [(where, other, position) for begin, where, other, position in own if begin < start]
        earlier += [(where, other, None) for begin, where, other in stored if begin < start.astype(np.int64)]
        nearest = most_similar(pattern, [other for _, other, _ in earlier])
        if nearest is not None and nearest[1] <= SIMILAR:
            where, _, position = earlier[nearest[0]]
            similar[index][number] = SimilarEvent(where, nearest[1], position)
    return similar


def drifts(learned: AnomalyLearned, data: ChannelSet, scored: tuple[Scored, ...], retrain: str) -> list[str]:
    """Of each series whose errors have become larger as a whole, until its end, since when and in which channels.

    Args:
        learned: of the detector.
        data: the series.
        scored: the scores of each.
        retrain: the command that trains on these data.
    """
    watch, sentences = drift_watch(learned), []
    for series, one in zip(data, scored, strict=True):
        look = watch.run(one.distances)
        if look is None or not watch.is_drift(look):
            continue
        judged = np.flatnonzero(one.distances > 0)
        begin = int(judged[len(judged) // watch.block * watch.block - look.steps])
        name = f"{data.source}, {series.id}" if len(data) > 1 else data.source
        earlier = " or earlier" if look.or_earlier else ""
        [since] = short_stamps(data, series.stamps[[begin]])
        since = f"{since}{earlier} ({len(series) - begin:,} rows)"
        most = drifting_channels(data.channels, one.parts[begin:].mean(axis=0))
        sentences.append(
            f"{name}: errors are {look.ratio:.2g} times those of training since {since}, most in {most}: normal may "
            "have changed, and thresholds no longer mean what they say"
        )
    if sentences:
        sentences.append(f"if these rows are normal, retrain on them: {retrain}")
    return sentences


def drifting_channels(channels: tuple[str, ...], parts: np.ndarray) -> str:
    """The channels that add more to the score than in training, by their mean parts (C,) of late; at most three."""
    more = parts * len(channels)  # each channel adds as much as any other in training, 1 in all
    order = np.argsort(-more, kind="stable")[:_MOST_DRIFTING]
    chosen = [k for k in order.tolist() if more[k] >= 0.5 * more[order[0]]]
    return ", ".join(channels[k] for k in chosen)


def page_of_events(
    learned: AnomalyLearned,
    data: ChannelSet,
    scored: tuple[Scored, ...],
    similar: list[list[SimilarEvent | None]],
    budget: float,
    *,
    facts: dict[str, str],
    notes: list[str],
    feedback: str,
    hindsight: bool,
) -> str:
    """The page of the events with the highest scores, as HTML.

    Args:
        learned: of the detector.
        data: the series.
        scored: the scores of each.
        similar: the most similar earlier event of each event of each; see `similar_events`.
        budget: the probability of a false alarm, a row.
        facts: what else is listed above the events, by name.
        notes: sentences that come first.
        feedback: the command that takes verdicts on the events; empty: there is none.
        hindsight: whether scores are smoothed in both directions.
    """
    positions = [(index, number) for index, one in enumerate(scored) for number in range(len(one.events))]
    highest = sorted(positions, key=lambda position: -scored[position[0]].events[position[1]].score)[:_MOST_EVENTS]
    chosen = [position for position in positions if position in set(highest)]
    on_page = {position: index for index, position in enumerate(chosen)}
    notes = list(notes)
    if len(positions) > len(chosen):
        notes.append(f"The {len(chosen)} events with the highest scores are here, of {len(positions):,}.")
    shown = [
        _shown(learned, data, (index, number), scored[index], budget, similar[index][number], on_page)
        for index, number in chosen
    ]
    with_events = [index for index, one in enumerate(scored) if one.events] or [0]
    if len(with_events) > _MOST_SERIES:
        notes.append(f"Whole scores are here of {_MOST_SERIES} series with events, of {len(with_events)}.")
    overviews = [_overview(data, index, scored[index], on_page) for index in with_events[:_MOST_SERIES]]
    title = f"Events in {Path(data.source).name if data.source != 'the data' else data.source}"
    counted = {"rows": f"{data.rows:,}", "events": f"{len(positions):,}"}
    tails = Explanation(
        "How the thresholds were set",
        tail_picture(learned, budget, hindsight=hindsight),
        "Histograms of the scores of normal rows on both scales, with the fitted tails and the thresholds.",
    )
    return event_page(EventPage(title, counted | facts, overviews, shown, notes, feedback, explanations=(tails,)))


def _shown(
    learned: AnomalyLearned,
    data: ChannelSet,
    position: tuple[int, int],
    scored: Scored,
    budget: float,
    similar: SimilarEvent | None,
    on_page: dict[tuple[int, int], int],
) -> ShownEvent:
    series, event = data.series[position[0]], scored.events[position[1]]
    length = event.end - event.start
    around = int(max(_AROUND[0], _AROUND[1] * length))
    rows = _thinned(scored.scores, max(0, event.start - around), min(len(series), event.end + around), event.peak)
    first, last = np.searchsorted(rows, [event.start, event.end])
    if similar is None:
        earlier = Similar("No earlier event is similar.")
    else:
        at = None if similar.position is None else on_page.get(similar.position)
        earlier = Similar(f"Most like the event of {similar.where} (distance {similar.distance:.2f} of 1).", at)
    ends = short_stamps(data, series.stamps[[event.start, event.end - 1, event.peak]])
    peak = float(scored.probability[event.peak])
    odds = _Odds.of(learned, peak, budget)
    return ShownEvent(
        series.id if len(data) > 1 else "",
        *ends,
        rows=length,
        score=event.score,
        rarity=rarity(learned, peak, budget, data.step_seconds or learned.step_seconds),
        odds=f"{'over ' * odds.more}{odds.rows:,.0f}",
        similar=earlier,
        stamps=short_stamps(data, series.stamps[rows]),
        inside=(int(first), max(int(first), int(last) - 1)),
        top=int(np.searchsorted(rows, event.peak)),
        scores=scored.scores[rows],
        thresholds=scored.threshold[rows],
        curves=_curves(data, series, scored, event, rows),
        verdict=_verdict(learned, series, event),
    )


def _verdict(learned: AnomalyLearned, series: ChannelSeries, event: Event) -> str:
    """What a person said of rows of the event before; empty: nothing."""
    first, last = series.stamps[[event.start, event.end - 1]].astype(np.int64).tolist()
    stretches = () if learned.feedback is None else learned.feedback.stretches
    own = (one for one in stretches if one.series == series.id and one.start <= last and first <= one.end)
    return next((one.verdict for one in own), "")


def _curves(data: ChannelSet, series: ChannelSeries, scored: Scored, event: Event, rows: np.ndarray) -> list[Curve]:
    return [
        Curve(
            data.channels[k],
            fraction,
            series.values[rows, k],
            scored.expected[rows, k],
            _BAND * float(scored.deviation[k]),
        )
        for k, fraction in scored.main_channels(event.start, event.end, _MOST_CHANNELS, _LEAST_FRACTION)
    ]


def _thinned(scores: np.ndarray, begin: int, end: int, peak: int) -> np.ndarray:
    """Rows from begin to end, at most a few hundred: of each part the one with the highest score; and the peak."""
    size = -(-(end - begin) // _MOST_POINTS)
    rows = [at + int(scores[at : min(at + size, end)].argmax()) for at in range(begin, end, size)]
    return np.unique([*rows, peak])


def _overview(data: ChannelSet, index: int, scored: Scored, on_page: dict[tuple[int, int], int]) -> Overview:
    series = data.series[index]
    size = -(-len(series) // _MOST_PARTS)
    rows = np.array([at + int(scored.scores[at : at + size].argmax()) for at in range(0, len(series), size)])
    events = [
        (on_page[index, number], event.start // size, (event.end - 1) // size)
        for number, event in enumerate(scored.events)
        if (index, number) in on_page
    ]
    return Overview(
        series.id if len(data) > 1 else "",
        short_stamps(data, series.stamps[rows]),
        scored.scores[rows],
        scored.threshold[rows],
        events,
    )


def short_stamps(data: ChannelSet, stamps: np.ndarray) -> list[str]:
    """Stamps (N,) as they are read: in the form of the source, but ISO without "T" and without zeros at its end."""
    written = [str(stamp) for stamp in data.form.written(stamps)]
    short = [re.sub(r"^(\d{4}-\d\d-\d\d)T", r"\1 ", re.sub(r"\.0+$", "", stamp)) for stamp in written]
    to_minutes = all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:00", stamp) for stamp in short)
    return [stamp[:-3] for stamp in short] if to_minutes else short


class UpdatedDetector(Result):
    """A detector with the verdicts of a person, before its run is written anew.

    Args:
        detector: with the feedback in what it has learned.
        sentences: what has changed, one a line.
    """

    def __init__(self, detector: "AnomalyDetector", sentences: list[str]) -> None:
        self.detector, self._sentences = detector, sentences

    def text(self, color: bool = False) -> Iterator[str]:
        yield "".join(f"{sentence}\n" for sentence in self._sentences)

    def write(self, path: str | Path) -> list[Path]:
        """Write the run anew, with one file that is replaced atomically; or into another folder as a run of its own."""
        folder = Path(path)
        if self.detector.folder is not None and folder.resolve() == self.detector.folder.resolve():
            self.detector.fitted.write_learned(folder)
        else:
            self.detector.save(folder)
        return [folder]

    def default_path(self, folder: Path) -> Path:
        return folder


def forget_verdicts(detector: "AnomalyDetector") -> UpdatedDetector:
    """A detector with the thresholds of training."""
    fitted = detector.fitted
    fitted.learned = replace(fitted.learned, feedback=None)
    return UpdatedDetector(detector, ["all verdicts are forgotten: the thresholds are those of training"])


def take_verdicts(
    detector: "AnomalyDetector", data: ChannelSet, path: str | Path, probability: float, data_probability: float
) -> UpdatedDetector:
    """A detector whose thresholds are above what a file of verdicts calls normal; see `AnomalyDetector.feedback`.

    Args:
        detector: whose training has ended.
        data: that the verdicts are on.
        path: of the file; see `recurra.data.series.labels.read_verdicts`.
        probability: of a false alarm, a row of training.
        data_probability: of a false alarm, a row of these data.

    Raises:
        DataError: the file has a fault, or the channels are others.
    """
    fitted = detector.fitted
    before = two_scales(fitted.learned, probability, adapts=False).thresholds
    stretches = _stretches(fitted, data, path, data_probability)
    joined = (fitted.learned.feedback or Feedback()).with_stretches(stretches)
    fitted.learned = replace(fitted.learned, feedback=joined)
    after = two_scales(fitted.learned, probability, adapts=False).thresholds
    count = sum(one.is_normal for one in stretches)
    sentences = [f"{count} called normal, {len(stretches) - count} called an anomaly; {len(joined.stretches)} in all"]
    for scale, old, new in zip(("smoothed", "single rows'"), before, after, strict=True):
        if old >= NEVER:
            continue
        changed = f"{new:.3g}, as before" if new == old else f"{new:.3g}, before {old:.3g}"
        sentences.append(f"threshold of {scale} scores: {changed}")
    sentences += [
        f"warning: the event of {one.where} was called an anomaly, and no longer raises an alarm: its scores are "
        "below those of what was called normal"
        for one in joined.silenced(after, SCALES)
    ]
    return UpdatedDetector(detector, sentences)


def _stretches(fitted: FittedDetector, data: ChannelSet, path: str | Path, probability: float) -> list[Stretch]:
    """The rows that a file of verdicts judges, with their scores and their pattern. Raises DataError."""
    fitted.learned.statistics.check_like(data)
    stretches, scores = [], {}
    for verdict in read_verdicts(path, data):
        series = data.series[verdict.series]
        if verdict.series not in scores:
            elapsed = fitted.learned.statistics.elapsed(series)
            own = all_scores(parts_of(fitted, series.values, (False, True), elapsed))
            scores[verdict.series] = own, score(fitted, series.values, probability, elapsed=elapsed)
        own, scored = scores[verdict.series]
        rows = slice(verdict.start, verdict.end)
        ends = series.stamps[[verdict.start, verdict.end - 1]]
        first, last = ends.astype(np.int64).tolist()
        where = short_stamps(data, ends)[0]
        pattern = scored.pattern(series.values, verdict.start, verdict.end)
        stretches.append(Stretch(series.id, first, last, where, verdict.is_normal, own[:, rows], pattern))
    return stretches
