"""Raw series as ONNX: the units of a window, and what the direct network reads of it. Letters as in `Window`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recurra.data.series.covariates import CLIP
from recurra.data.series.windows import WindowShape
from recurra.export.onnx.graph import DOUBLE, FLOAT, INT64, Graph, Value
from recurra.models.forecasting.features import phases, seasonal_lags
from recurra.models.forecasting.normalization import CONSTANT_FRACTION, LEAST_FRACTION, LEAST_OF_LEVEL
from recurra.models.forecasting.pipeline import ForecastPipeline

__all__ = ["Read", "Units", "add_read", "double"]


@dataclass(frozen=True)
class Units:
    """`Normalization` of a window, all (B, 1) float64, and whether it is constant, bool (B, 1); see `are_constant`."""

    location: Value
    scale: Value
    deviation: Value
    level: Value
    is_constant: Value


@dataclass(frozen=True)
class Read:
    """`DirectInputs` of a window.

    Attributes:
        encoder: (B, S, I).
        decoder: (B, T, J).
        candidates: (B, T, M).
        available: bool (B, T, M).
        categories: int64 (B,) by column.
        units: of the window.
    """

    encoder: Value
    decoder: Value
    candidates: Value
    available: Value
    categories: list[Value]
    units: Units


def double(graph: Graph, number: float) -> Value:
    """A float64 constant without dimensions."""
    return graph.constant(np.array(number, np.float64))


def add_read(graph: Graph, model: ForecastPipeline) -> Read:
    """Add the inputs of a graph that forecasts, and what the network reads of them."""
    shape, encoding = model.shape, model.encoding
    time, ahead = ("batch", "time"), ("batch", "time_and_horizon")
    history = _last(graph, graph.input("history", DOUBLE, time), shape.history, np.nan)
    past, known, numbers = [], [], []
    if encoding.past:
        values = graph.input("past", DOUBLE, (*time, len(encoding.past)))
        past.append(_last(graph, _standardized(graph, values, encoding.past), shape.context))
    if encoding.known:
        values = graph.input("known", DOUBLE, (*ahead, len(encoding.known)))
        known.append(_last(graph, _standardized(graph, values, encoding.known), shape.context + shape.horizon))
    if model.calendar:
        values = graph.input("calendar", FLOAT, (*ahead, model.calendar))
        known.append(_last(graph, values, shape.context + shape.horizon))
    if model.numbers:
        values = graph.input("numbers", DOUBLE, ("batch", len(model.numbers)))
        numbers.append(_columns(graph, _standardized(graph, values, model.numbers), 0, len(model.numbers)))
    categories = []
    if encoding.cardinalities:
        ids = graph.input("categories", INT64, ("batch", len(encoding.cardinalities)))
        columns = (_columns(graph, ids, k, k + 1) for k in range(len(encoding.cardinalities)))
        categories = [graph.op("Squeeze", column, graph.integers(1)) for column in columns]
    units = _units(graph, history, shape.seasons[0])
    z = graph.op("Div", graph.op("Sub", history, units.location), units.scale)
    scale = _scale_features(graph, history, units, shape.seasons)
    candidates = _candidates(graph, z, shape)
    ratio = graph.op("Unsqueeze", graph.op("Div", units.scale, units.deviation), graph.integers(2))

    def shared(first: int, count: int) -> list[Value]:
        cycles = phases(torch.arange(first, first + count), shape.seasons).numpy()
        parts = [_repeated(graph, history, graph.constant(cycles[None]))] if cycles.shape[1] else []
        constant = [graph.op("Unsqueeze", value, graph.integers(1)) for value in (scale, *numbers)]
        parts += [_at_each_step(graph, value, count) for value in constant]
        begin = first + shape.context
        return parts + [_columns(graph, value, begin, begin + count, axis=1) for value in known]

    encoder = [*_encoder_values(graph, z, ratio, shape), *shared(-shape.context, shape.context), *past]
    before, rest = _columns(graph, candidates, 0, 1, axis=2), _columns(graph, candidates, 1, -1, axis=2)
    steps = np.arange(1, shape.horizon + 1, dtype=np.float64)[None, :, None] / shape.horizon
    decoder = [
        _asinh(graph, before),
        _filled(graph, graph.op("Mul", before, ratio)),
        _asinh(graph, graph.op("Sub", rest, before)),
        _repeated(graph, history, graph.constant(steps.astype(np.float32))),
        *shared(0, shape.horizon),
    ]
    return Read(
        graph.op("Concat", *encoder, axis=2),
        graph.op("Concat", *decoder, axis=2),
        _filled(graph, candidates),
        graph.op("Not", graph.op("IsNaN", candidates)),
        categories,
        units,
    )


def _units(graph: Graph, history: Value, season: int) -> Units:
    """See `normalize`."""
    steps = int(history.shape[1])
    overall, recent = _mean(graph, history), _mean(graph, _columns(graph, history, steps - season, steps))
    location = _without_nan(graph, graph.op("Where", graph.op("IsNaN", recent), overall, recent))
    level = _without_nan(graph, _mean(graph, graph.op("Abs", history)))
    deviations = graph.op("Abs", graph.op("Sub", history, location))
    deviation = _without_nan(graph, _mean(graph, deviations))
    change = _mean(graph, _change(graph, history, season))
    change = graph.op("Where", graph.op("IsNaN", change), deviation, change)
    smallest = graph.op("Mul", level, double(graph, LEAST_OF_LEVEL))
    least = graph.op("Max", graph.op("Mul", deviation, double(graph, LEAST_FRACTION)), smallest)
    constant = graph.op("Mul", level, double(graph, CONSTANT_FRACTION))
    scale = graph.op("Max", change, graph.op("Where", graph.op("Greater", deviation, smallest), least, constant))
    scale = graph.op("Where", graph.op("Greater", scale, double(graph, 0.0)), scale, double(graph, 1.0))
    deviation = graph.op("Max", deviation, graph.op("Mul", scale, double(graph, LEAST_FRACTION)))
    largest = graph.op("ReduceMax", _without_nan(graph, deviations), axes=[1], keepdims=1)
    is_constant = graph.op("Not", graph.op("Greater", largest, smallest))
    return Units(location, scale, deviation, level, is_constant)


def _scale_features(graph: Graph, history: Value, units: Units, seasons: Sequence[int]) -> Value:
    """See `scale_features`."""
    both = graph.op("Add", units.level, units.scale)
    levels = graph.op("Log", graph.op("Div", units.scale, both))
    features = [
        graph.op("Log", graph.op("Div", units.scale, units.deviation)),
        graph.op("Div", levels, double(graph, float(np.log(10)))),
    ]
    for season in seasons[1:]:
        mean = _without_nan(graph, _mean(graph, _change(graph, history, season)))
        least = graph.op("Mul", units.scale, double(graph, 1e-3))
        features.append(graph.op("Log", graph.op("Div", graph.op("Add", mean, least), units.scale)))
    return graph.op("Cast", graph.op("Concat", *features, axis=1), to=FLOAT)


def _candidates(graph: Graph, z: Value, shape: WindowShape) -> Value:
    """The candidates of the direct network for each step ahead (B, T, M), NaN if missing."""
    history, short = shape.history, shape.seasons[0]
    ahead = np.arange(shape.horizon)
    lags = {}
    for season, back in seasonal_lags(shape):
        position = history + ahead - season * (ahead // season + back)
        lags[season, back] = graph.op("Gather", z, graph.constant(position), axis=1)
    shifted = []
    last, recent = _columns(graph, z, history - 1, history), _columns(graph, z, history - short, history)
    for season in shape.seasons:
        lag = lags[season, 1]
        moved = graph.op("Sub", last, _columns(graph, z, history - 1 - season, history - season))
        shifted.append(graph.op("Add", lag, moved))
        then = _columns(graph, z, history - season - short, history - season)
        shifted.append(graph.op("Add", lag, _mean(graph, graph.op("Sub", recent, then))))
    flat = _repeated(graph, z, graph.constant(np.zeros((1, shape.horizon))))
    parts = [graph.op("Unsqueeze", part, graph.integers(2)) for part in (*lags.values(), *shifted, flat)]
    return graph.op("Concat", *parts, axis=2)


def _encoder_values(graph: Graph, z: Value, ratio: Value, shape: WindowShape) -> list[Value]:
    """The context's values and their changes since a season before, (B, S, ...)."""
    end, begin = shape.history, shape.history - shape.context
    now = _columns(graph, z, begin, end)
    changes = [graph.op("Sub", now, _columns(graph, z, begin - season, end - season)) for season in shape.seasons]
    now, *changes = (graph.op("Unsqueeze", value, graph.integers(2)) for value in (now, *changes))
    present = graph.op("Cast", graph.op("Not", graph.op("IsNaN", now)), to=FLOAT)
    values = _asinh(graph, graph.op("Concat", now, *changes, axis=2))
    return [_filled(graph, graph.op("Mul", now, ratio)), values, present]


def _standardized(graph: Graph, values: Value, moments: Sequence[tuple[float, float]]) -> Value:
    """See `standardize`."""
    mean, deviation = (graph.constant(column) for column in np.array(moments, np.float64).T)
    present = graph.op("Not", graph.op("Or", graph.op("IsNaN", values), graph.op("IsInf", values)))
    centred = graph.op("Sub", graph.op("Where", present, values, mean), mean)
    limits = double(graph, -CLIP), double(graph, CLIP)
    standard = graph.op("Clip", graph.op("Div", centred, deviation), *limits)
    both = [graph.op("Cast", value, to=FLOAT) for value in (standard, present)]
    return graph.op("Concat", *both, axis=-1)


def _mean(graph: Graph, values: Value) -> Value:
    """The mean of the observed values of each row (B, 1); NaN if there are none."""
    axis, missing = graph.integers(1), graph.op("IsNaN", values)
    total = graph.op("ReduceSum", graph.op("Where", missing, double(graph, 0.0), values), axis, keepdims=1)
    count = graph.op("ReduceSum", graph.op("Cast", graph.op("Not", missing), to=DOUBLE), axis, keepdims=1)
    return graph.op("Div", total, count)


def _change(graph: Graph, history: Value, season: int) -> Value:
    """How far each value is from the one a season before."""
    steps = int(history.shape[1])
    before, after = _columns(graph, history, 0, steps - season), _columns(graph, history, season, steps)
    return graph.op("Abs", graph.op("Sub", after, before))


def _last(graph: Graph, values: Value, count: int, missing: float = 0.0) -> Value:
    """The last `count` steps of (B, N, ...); `missing` where there are fewer."""
    rest = [int(size) for size in values.shape[2:]]
    batch = graph.op("Shape", values, start=0, end=1)
    filler = double(graph, missing) if values.type == DOUBLE else graph.number(missing)
    filler = graph.op("Expand", filler, graph.op("Concat", batch, graph.integers(count, *rest), axis=0))
    both = graph.op("Concat", filler, values, axis=1)
    cut = graph.op("Slice", both, graph.integers(-count), graph.integers(np.iinfo(np.int64).max), graph.integers(1))
    return Value(cut.name, values.type, ("batch", count, *rest))


def _columns(graph: Graph, values: Value, first: int, last: int, axis: int = 1) -> Value:
    return graph.op("Slice", values, graph.integers(first), graph.integers(last), graph.integers(axis))


def _repeated(graph: Graph, like: Value, constant: Value) -> Value:
    """A constant (1, ...) for each sequence of `like`."""
    rest = [int(size) for size in constant.shape[1:]]
    shape = graph.op("Concat", graph.op("Shape", like, start=0, end=1), graph.integers(*rest), axis=0)
    return Value(graph.op("Expand", constant, shape).name, constant.type, ("batch", *rest))


def _at_each_step(graph: Graph, values: Value, count: int) -> Value:
    """(B, 1, F) as (B, count, F)."""
    repeated = graph.op("Expand", values, graph.integers(1, count, 1))
    return Value(repeated.name, values.type, ("batch", count, values.size))


def _without_nan(graph: Graph, values: Value) -> Value:
    return graph.op("Where", graph.op("IsNaN", values), double(graph, 0.0), values)


def _filled(graph: Graph, values: Value) -> Value:
    """As float32, 0 if missing."""
    return graph.op("Cast", _without_nan(graph, values), to=FLOAT)


def _asinh(graph: Graph, values: Value) -> Value:
    """As float32, for which alone ONNX Runtime has this function."""
    return graph.op("Asinh", _filled(graph, values))
