"""A forecaster as ONNX, from raw values to quantiles in the units of the series."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.export.onnx.context import Context
from recurra.export.onnx.forecast_window import Read, Units, add_read, double
from recurra.export.onnx.forms import Form
from recurra.export.onnx.graph import DOUBLE, FLOAT, Graph, Value
from recurra.export.onnx.modules import add_module
from recurra.models.forecasting.conformal import interval_pairs
from recurra.models.forecasting.direct import DirectNetwork
from recurra.models.forecasting.heads import QuantileHead
from recurra.models.forecasting.pipeline import ForecastPipeline
from recurra.models.forecasting.reservoir import ReservoirNetwork

__all__ = ["add_forecast"]


def add_forecast(context: Context, model: ForecastPipeline) -> Form:
    """The quantiles of each step of the horizon (B, T, Q) float64."""
    graph = context.graph
    read = add_read(graph, model)
    raw = _raw(context, model.network, read)
    values = graph.op("Cast", _quantiles(graph, model, raw), to=DOUBLE)
    units = Units(*(graph.op("Unsqueeze", part, graph.integers(2)) for part in vars(read.units).values()))
    quantiles = graph.op("Add", graph.op("Mul", values, units.scale), units.location)
    quantiles = graph.op("Where", units.is_constant, _around(graph, model, quantiles, units.location), quantiles)
    zero = double(graph, 0.0)
    blank = graph.op("Equal", units.level, zero)
    quantiles = graph.op("Where", blank, zero, quantiles)
    if model.margins is not None:
        quantiles = _moved(graph, model, quantiles, graph.op("Where", blank, zero, units.scale))
    if model.nonnegative:
        quantiles = graph.op("Max", quantiles, zero)
    shape = ("batch", model.shape.horizon, len(model.levels))
    steps = model.shape.history

    def reference(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"quantiles": model(inputs)}

    return Form(
        {"quantiles": Value(quantiles.name, DOUBLE, shape)},
        reference,
        sample=lambda batch, steps: _sample(model, batch, steps),
        cases=((1, steps), (5, steps + 3), (2, 1)),
    )


def _raw(context: Context, network: DirectNetwork | ReservoirNetwork, read: Read) -> Value:
    """The raw outputs of each step of the horizon, the first centred on the baseline."""
    graph = context.graph
    encoder, decoder = _with_categories(context, network, read)
    from_zeros = Context(graph, with_states=False)
    if isinstance(network, ReservoirNetwork):
        return _linear_raw(context, network, read, encoder, decoder)
    _, state = add_module(from_zeros, network.recurrent.encoder, "recurrent.encoder", encoder)
    hidden, _ = add_module(from_zeros, network.recurrent.decoder, "recurrent.decoder", decoder, state)
    scores = add_module(context, network.baseline.weights, "baseline.weights", hidden)
    scores = graph.op("Where", read.available, scores, graph.number(-np.inf))
    weighted = graph.op("Mul", graph.op("Softmax", scores, axis=2), read.candidates)
    centre = graph.op("ReduceSum", weighted, graph.integers(2), keepdims=1)
    raw = hidden
    for name, layer in network.readout.layers.named_children():
        raw = add_module(context, layer, f"readout.layers.{name}", raw)
    first, rest = graph.ops("Split", 2, raw, graph.integers(1, raw.size - 1), axis=2) if raw.size > 1 else (raw, None)
    first = graph.op("Add", first, centre)
    return first if rest is None else graph.op("Concat", first, rest, axis=2)


def _linear_raw(context: Context, network: ReservoirNetwork, read: Read, encoder: Value, decoder: Value) -> Value:
    """The raw outputs of a reservoir, whose readouts are linear; see `ReservoirNetwork`."""
    graph, last = context.graph, context.graph.constant(np.array(-1, np.int64))
    first = _part(graph, read.candidates, 0, 1)
    beside = graph.op("Where", read.available, graph.op("Sub", read.candidates, first), graph.number(0.0))
    steps = graph.op("Concat", beside, decoder, axis=2)
    steps = Value(steps.name, FLOAT, ("batch", network.spread.numel(), network.baseline.in_features))
    output, _ = add_module(Context(graph, with_states=False), network.recurrent, "recurrent", encoder)
    ends = [graph.op("Gather", one, last, axis=1) for one in (output, encoder)]
    whole = Value(graph.op("Concat", *ends, axis=1).name, FLOAT, ("batch", network.readout.in_features))
    ahead = graph.op("Unsqueeze", add_module(context, network.readout, "readout", whole), graph.integers(2))
    centre = graph.op("Add", graph.op("Add", first, add_module(context, network.baseline, "baseline", steps)), ahead)
    # Zero times a centre that is finite: the same number for each sequence.
    spread = graph.constant(network.spread.numpy().astype(np.float32)[None, :, None])
    spread = graph.op("Add", graph.op("Mul", centre, graph.number(0.0)), spread)
    raw = graph.op("Concat", centre, spread, axis=2)
    return Value(raw.name, FLOAT, ("batch", network.spread.numel(), 2))


def _with_categories(context: Context, network: DirectNetwork | ReservoirNetwork, read: Read) -> list[Value]:
    """What is read before and after the origin, with the vectors of categories at each step."""
    graph = context.graph
    tables = [
        add_module(context, table, "embedding.tables", ids)
        for table, ids in zip(network.embedding.tables, read.categories, strict=True)
    ]
    inputs = []
    for steps in (read.encoder, read.decoder):
        count = graph.integers(1, int(steps.shape[1]), 1)
        vectors = [graph.op("Expand", graph.op("Unsqueeze", one, graph.integers(1)), count) for one in tables]
        whole = graph.op("Concat", steps, *vectors, axis=2)
        size = steps.size + network.embedding.size
        inputs.append(Value(whole.name, FLOAT, ("batch", *steps.shape[1:2], size)))
    return inputs


def _quantiles(graph: Graph, model: ForecastPipeline, raw: Value) -> Value:
    """The quantiles (B, T, Q) in the units of the window, of raw outputs."""
    if raw.size == 1:
        return raw
    centre, rest = graph.ops("Split", 2, raw, graph.integers(1, raw.size - 1), axis=2)
    spread = graph.op("Softplus", rest)
    if not isinstance(model.head, QuantileHead):
        spread = graph.op("Add", spread, graph.number(1e-3))
        ends = torch.special.ndtri(torch.tensor(model.levels, dtype=torch.float32)).numpy()
        return graph.op("Add", centre, graph.op("Mul", spread, graph.constant(ends)))
    middle, axis = model.levels.index(0.5), graph.constant(np.array(2))
    parts = [centre]
    if middle:
        below = _part(graph, spread, 0, middle)
        below = graph.op("Sub", centre, graph.op("CumSum", below, axis))
        backward = [graph.integers(one) for one in (-1, -middle - 1, 2, -1)]
        parts.insert(0, graph.op("Slice", below, *backward))
    if middle < raw.size - 1:
        above = _part(graph, spread, middle, raw.size - 1)
        parts.append(graph.op("Add", centre, graph.op("CumSum", above, axis)))
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=2)


def _around(graph: Graph, model: ForecastPipeline, quantiles: Value, value: Value) -> Value:
    """The quantiles with the value (B, 1, 1) as their median, and none beyond it."""
    middle, count = model.levels.index(0.5), len(model.levels)
    below, above = _part(graph, quantiles, 0, middle), _part(graph, quantiles, middle + 1, count)
    median = graph.op("Add", graph.op("Mul", _part(graph, quantiles, middle, middle + 1), double(graph, 0.0)), value)
    return graph.op("Concat", graph.op("Min", below, value), median, graph.op("Max", above, value), axis=2)


def _moved(graph: Graph, model: ForecastPipeline, quantiles: Value, scales: Value) -> Value:
    """Conformal intervals, and their ends in order around the median; see `apply_margins`."""
    assert model.margins is not None
    moves = np.zeros(len(model.levels))
    for (low, high), margin in zip(interval_pairs(model.levels), model.margins, strict=True):
        moves[low], moves[high] = -margin, margin
    moved = graph.op("Add", quantiles, graph.op("Mul", scales, graph.constant(moves)))
    ends = [_part(graph, moved, k, k + 1) for k in range(len(moves))]
    middle = model.levels.index(0.5)
    for k in range(middle - 1, -1, -1):
        ends[k] = graph.op("Min", ends[k], ends[k + 1])
    for k in range(middle + 1, len(ends)):
        ends[k] = graph.op("Max", ends[k], ends[k - 1])
    return ends[0] if len(ends) == 1 else graph.op("Concat", *ends, axis=2)


def _part(graph: Graph, values: Value, first: int, last: int) -> Value:
    return graph.op("Slice", values, graph.integers(first), graph.integers(last), graph.integers(2))


def _sample(model: ForecastPipeline, batch: int, steps: int) -> dict[str, NDArray[Any]]:
    """Series with seasons and gaps, and among several a blank, a short and a constant one."""
    random = np.random.default_rng(batch)
    season, horizon, encoding = model.shape.seasons[-1], model.shape.horizon, model.encoding
    cycle = np.sin(2 * np.pi * np.arange(steps) / season)
    history = 30 + 9 * cycle + random.normal(0, 2, (batch, steps)).cumsum(1)
    history[random.random(history.shape) < 0.1] = np.nan
    if batch > 3:
        history[1], history[2, : -max(1, steps // 3)], history[3] = 0.0, np.nan, 0.1
    arrays: dict[str, NDArray[Any]] = {"history": history}
    for name, moments, leading in (
        ("past", encoding.past, (batch, steps)),
        ("known", encoding.known, (batch, steps + horizon)),
        ("numbers", model.numbers, (batch,)),
    ):
        if moments:
            mean, deviation = np.array(moments).T
            values = mean + deviation * random.normal(0, 4, (*leading, len(moments)))
            values[random.random(values.shape) < 0.1] = np.nan
            arrays[name] = values
    if model.calendar:
        arrays["calendar"] = random.uniform(-1, 1, (batch, steps + horizon, model.calendar)).astype(np.float32)
    if encoding.cardinalities:
        arrays["categories"] = random.integers(0, encoding.cardinalities, (batch, len(encoding.cardinalities)))
    return arrays
