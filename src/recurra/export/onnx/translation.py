"""A network that translates as two graphs: what reads the source, and a step of what writes the target."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.text.subwords import Subwords
from recurra.export.check import Check, compare, largest_gap, refuse_failed
from recurra.export.onnx.attention import add_attended, add_keys
from recurra.export.onnx.check import open_session, running
from recurra.export.onnx.context import Context
from recurra.export.onnx.forms import CASES, Form
from recurra.export.onnx.graph import FLOAT, INT64, Value
from recurra.export.onnx.modules import add_module
from recurra.export.onnx.prepared import OnnxExport, Prepared, prepare
from recurra.export.recurrent_modules import evaluated
from recurra.layers import Recurrent
from recurra.models import AttentionDecoder, Bridge, DecoderState, Memory, SearchState
from recurra.program.builder import as_array

__all__ = ["Translating", "TranslationExport", "export_translation", "translates"]

_LOG_PROBABILITIES = "log_probabilities"
_DIVERGED = 1e-4  # nats between a network in float32 and in float64, each with its own states


class Translating(Protocol):
    """A network that translates, such as that of a trained translator."""

    source_embedding: nn.Embedding
    target_embedding: nn.Embedding
    scale: float
    encoder: Recurrent
    bridge: Bridge
    decoder: AttentionDecoder
    readout: nn.Linear
    never_written: tuple[int, ...]

    def begin(self, source: Tensor, lengths: Tensor) -> SearchState:
        """The state of a search before its first step, of source subwords (B, S)."""
        ...

    def step(self, tokens: Tensor, state: SearchState) -> tuple[Tensor, SearchState]:
        """The log-probabilities (N, V) of what follows tokens (N,)."""
        ...


def translates(model: Any) -> TypeGuard[Translating]:
    """Whether a model is one that `export_translation` writes."""
    return isinstance(getattr(model, "decoder", None), AttentionDecoder) and isinstance(
        getattr(model, "bridge", None), Bridge
    )


@dataclass(frozen=True)
class TranslationExport:
    """What was written. Print it.

    Attributes:
        encoder: the graph that reads the source.
        decoder: the graph of one step of the target.
        searches: the comparisons of both graphs with the model along greedy searches.
    """

    encoder: OnnxExport
    decoder: OnnxExport
    searches: tuple[Check, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.encoder}\n{self.decoder}", *(f"searched greedily: {one}" for one in self.searches)])


def export_translation(
    model: Translating, folder: str | Path, name: str, metadata: Mapping[str, Any] | None = None
) -> TranslationExport:
    """Write a network that translates as `NAME.encoder.onnx` and `NAME.decoder.onnx`, in float32.

    The encoder reads source ids (B, S), each sentence ended by `Subwords.end`, and their lengths (B,). The decoder
    reads the last target ids (B,), first `Subwords.begin`, and returns the log-probabilities (B, V) of the next. Every
    output of the encoder is an input of the decoder of the same name: `memory` and `keys`, which stay as they are, and
    the state before the first step, whose parts end in `_0`. The step returns those after it, which end in `_n`; the
    metadata "recurra.states" lists them in pairs. The search is the caller's. Files are written only if each graph
    agrees with the model at three sizes, and both together along greedy searches.

    Args:
        model: see `translates`. It is not changed.
        folder: that exists.
        name: of the files.
        metadata: of both files, see `export_onnx`.

    Raises:
        ParameterError: if the metadata is not what JSON holds.
        ExportError: if something in the model has no form in ONNX, or a graph does not agree with the model. Nothing is
            written.
        RunError: if a file cannot be written.
    """
    assert isinstance(model, nn.Module)
    own: Any = evaluated(model)
    encoder, decoder = (prepare(own, Context(), add, metadata or {}) for add in (_encoder, _decoder))
    with running():
        searches = tuple(_search(own, encoder, decoder, *sizes) for sizes in CASES)
    refuse_failed(searches, "ONNX Runtime")
    return TranslationExport(
        encoder.write(Path(folder) / f"{name}.encoder.onnx"),
        decoder.write(Path(folder) / f"{name}.decoder.onnx"),
        searches,
    )


def _encoder(context: Context, model: Any) -> Form:
    graph, decoder = context.graph, model.decoder
    source = graph.input("source", INT64, ("batch", "time"), limit=model.source_embedding.num_embeddings)
    context.add_lengths()
    embedded = add_module(context, model.source_embedding, "source_embedding", source)
    embedded = graph.op("Mul", embedded, graph.number(model.scale))
    from_zeros = Context(graph, with_states=False)
    memory, final = add_module(from_zeros, model.encoder, "encoder", embedded, lengths=context.lengths)
    outputs = {"memory": memory, "keys": add_keys(context, decoder.attention, memory)}
    outputs |= zip(_initial_names(model), _bridged(context, model.bridge, final), strict=False)
    if decoder.input_feeding:
        outputs["feed_0"] = _zeros(context, memory, decoder.attentional_size)
    if decoder.attention.coverage:
        zeros = graph.op("Expand", graph.number(0.0), graph.op("Shape", source))
        outputs["coverage_0"] = Value(zeros.name, FLOAT, source.shape)

    def reference(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        state = model.begin(inputs["source"], inputs["lengths"])
        memory = {"memory": state.memory.values, "keys": state.memory.keys}
        return memory | dict(zip(_initial_names(model), _parts(model, state), strict=True))

    return Form(outputs, reference, _states(model))


def _bridged(context: Context, bridge: Bridge, final: Any) -> Iterator[Value]:
    """The parts of the decoder's first state (L, B, H), as `Bridge` makes them."""
    graph = context.graph
    ends = dict(zip(bridge.encoder_parts, final if isinstance(final, tuple) else (final,), strict=True))
    first = next(iter(ends.values()))
    for index, (part, size) in enumerate(bridge.wanted.items()):
        layers = []
        for layer, read in enumerate(bridge.layers):
            if bridge.kind == "zeros" or (bridge.kind == "dense" and part not in bridge.maps):
                layers.append(_zeros(context, graph.op("Transpose", first, perm=(1, 0, 2)), size))
                continue
            rows = [read * bridge.directions + k for k in range(bridge.directions)]
            of_layer = [
                graph.op("Gather", ends.get(part, first), graph.constant(np.array(row)), axis=0) for row in rows
            ]
            value = of_layer[0] if len(rows) == 1 else graph.op("Concat", *of_layer, axis=-1)
            if bridge.kind == "dense":
                maps: Any = bridge.maps[part]
                value = add_module(context, maps[layer], f"bridge.maps.{part}.{layer}", value)
                value = graph.op("Tanh", value) if index == 0 else value
            layers.append(value)
        yield graph.op("Concat", *(graph.op("Unsqueeze", one, graph.integers(0)) for one in layers), axis=0)


def _decoder(context: Context, model: Any) -> Form:
    graph, decoder = context.graph, model.decoder
    attention, names = decoder.attention, _initial_names(model)
    tokens = graph.input("tokens", INT64, ("batch",), limit=model.target_embedding.num_embeddings)
    keys_size = attention.key.out_features if hasattr(attention, "key") else attention.memory_size
    memory = graph.input("memory", FLOAT, ("batch", "time", attention.memory_size))
    keys = graph.input("keys", FLOAT, ("batch", "time", keys_size))
    context.add_lengths()
    assert context.lengths is not None
    sizes = [*model.bridge.wanted.values()]
    state = [
        graph.input(name, FLOAT, (decoder.recurrent.num_layers, "batch", size))
        for name, size in zip(names, sizes, strict=False)
    ]
    feed = graph.input("feed_0", FLOAT, ("batch", decoder.attentional_size)) if decoder.input_feeding else None
    coverage = graph.input("coverage_0", FLOAT, ("batch", "time")) if attention.coverage else None
    read = add_module(context, model.target_embedding, "target_embedding", tokens)
    read = graph.op("Mul", read, graph.number(model.scale))
    if feed is not None:
        read = graph.op("Concat", read, feed, axis=1)
    read = graph.op("Unsqueeze", read, graph.integers(1))
    hx = tuple(state) if len(state) > 1 else state[0]
    output, after = add_module(context, decoder.recurrent, "decoder.recurrent", read, hx)
    attended, weights, coverage = add_attended(context, attention, output, memory, keys, context.lengths, coverage)
    combined = graph.op("Concat", attended, output, axis=2)
    hidden = graph.op("Tanh", add_module(context, decoder.combine, "decoder.combine", combined))
    hidden = graph.op("Squeeze", hidden, graph.integers(1))
    # Not transposed here: the table of tied embeddings is then stored once.
    weight = graph.op("Transpose", graph.constant(as_array(model.readout.weight)), perm=(1, 0))
    logits = graph.op("Add", graph.op("MatMul", hidden, weight), graph.constant(as_array(model.readout.bias)))
    barred = np.zeros(logits.size, np.float32)
    barred[list(model.never_written)] = -np.inf
    logs = graph.op("Add", graph.op("LogSoftmax", logits, axis=-1), graph.constant(barred))
    values = [*(after if isinstance(after, tuple) else (after,)), *([hidden] if feed is not None else [])]
    values += [] if coverage is None else [coverage]
    outputs = {_LOG_PROBABILITIES: logs, "attention": graph.op("Squeeze", weights, graph.integers(1))}
    outputs |= zip(map(_after, names), values, strict=True)
    return Form(outputs, _stepped, _states(model))


def _stepped(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model says of a step."""
    memory, keys, lengths = (inputs[name] for name in ("memory", "keys", "lengths"))
    padding = torch.arange(memory.shape[1]) >= lengths.unsqueeze(1)
    recurrent = [inputs[name] for name in _initial_names(model)[: len(model.bridge.wanted)]]
    hx = tuple(recurrent) if len(recurrent) > 1 else recurrent[0]
    decoder = DecoderState(hx, inputs.get("feed_0"), inputs.get("coverage_0"))
    tokens = inputs["tokens"]
    weights: list[Tensor] = []
    handle = model.decoder.attention.register_forward_hook(lambda module, args, made: weights.append(made.weights))
    try:
        logs, after = model.step(tokens, SearchState(Memory(memory, keys, padding), torch.arange(len(tokens)), decoder))
    finally:
        handle.remove()
    states = dict(zip(map(_after, _initial_names(model)), _parts(model, after), strict=True))
    return {_LOG_PROBABILITIES: logs, "attention": weights[0].squeeze(1), **states}


def _search(model: Any, encoder: Prepared, decoder: Prepared, batch: int, steps: int) -> Check:
    """Compare the log-probabilities along the model's greedy search, the graphs passing on their own states.

    Where these agree at every step, a greedy search by the graphs chooses what the model's chooses. The search
    continues where a sentence would end, because a trained network ends many a random sentence at once. The comparison
    ends where rounding alone has led the model away from itself in float64.
    """
    generator = torch.Generator().manual_seed(batch)
    source = torch.randint(0, model.source_embedding.num_embeddings, (batch, steps), generator=generator)
    lengths = torch.tensor([steps, 1, *range(2, batch)][:batch])
    reads, writes = open_session(encoder.content), open_session(decoder.content)
    arrays = {"source": source.numpy(), "lengths": lengths.numpy()}
    graph = dict(zip(encoder.outputs, reads.run(list(encoder.outputs), arrays), strict=True))
    graph["lengths"] = arrays["lengths"]
    exact: Any = evaluated(model).double()
    made: dict[str, list[np.ndarray]] = {"graph": [], "model": [], "exact": []}
    with torch.no_grad():
        states = {"model": model.begin(source, lengths), "exact": exact.begin(source, lengths)}
        tokens = torch.full((batch,), Subwords.begin)
        for _ in range(2 * steps + 10):
            logs: dict[str, np.ndarray] = {}
            for key, one in (("model", model), ("exact", exact)):
                now, states[key] = one.step(tokens, states[key])
                logs[key] = now.numpy()
            if made["graph"] and largest_gap(logs["model"], logs["exact"]) > _DIVERGED:
                break
            results = writes.run(list(decoder.outputs), {**graph, "tokens": tokens.numpy()})
            outputs = dict(zip(decoder.outputs, results, strict=True))
            logs["graph"] = outputs[_LOG_PROBABILITIES]
            graph |= {name: outputs[_after(name)] for name in _initial_names(model)}
            for key, values in made.items():
                values.append(logs[key])
            choices = torch.from_numpy(logs["model"]).clone()
            choices[:, Subwords.end] = -torch.inf
            tokens = choices.argmax(1)
    name = f"{_LOG_PROBABILITIES} over {len(made['graph'])} steps"
    actual, expected, precise = ({name: np.stack(logs)} for logs in made.values())
    return compare(batch, steps, lengths.tolist(), actual, expected, precise)


def _initial_names(model: Any) -> list[str]:
    """The names of the state's parts before a step."""
    decoder = model.decoder
    own = ["feed"] * decoder.input_feeding + ["coverage"] * decoder.attention.coverage
    return [f"{part}_0" for part in (*model.bridge.wanted, *own)]


def _after(name: str) -> str:
    return f"{name.removesuffix('_0')}_n"


def _states(model: Any) -> list[dict[str, str]]:
    return [{"layer": "decoder", "input": name, "output": _after(name)} for name in _initial_names(model)]


def _parts(model: Any, state: SearchState) -> list[Tensor]:
    """The parts of a state, by the order of their names; what has not begun is zeros."""
    decoder, memory = state.decoder, state.memory.values
    parts = list(decoder.recurrent if isinstance(decoder.recurrent, tuple) else (decoder.recurrent,))
    if model.decoder.input_feeding:
        size = model.decoder.attentional_size
        parts.append(memory.new_zeros(len(memory), size) if decoder.feed is None else decoder.feed)
    if model.decoder.attention.coverage:
        parts.append(memory.new_zeros(memory.shape[:2]) if decoder.coverage is None else decoder.coverage)
    return parts


def _zeros(context: Context, like: Value, size: int) -> Value:
    """(B, size) for a value (B, ...)."""
    graph = context.graph
    shape = graph.op("Concat", graph.op("Shape", like, start=0, end=1), graph.integers(size), axis=0)
    return Value(graph.op("Expand", graph.number(0.0), shape).name, FLOAT, ("batch", size))
