"""The best tags of a linear-chain CRF as ONNX: Viterbi's algorithm as two Scans."""

import numpy as np
import torch

from recurra.export.onnx.graph import BOOL, FLOAT, INT64, Graph, Value
from recurra.models.crf import LinearChainCRF
from recurra.program.builder import as_array

__all__ = ["add_best_tags"]


def add_best_tags(graph: Graph, crf: LinearChainCRF, emissions: Value, valid: Value, ends: Value) -> Value:
    """The most probable tags (B, T) int64, as `LinearChain.best` finds them; anything beyond the lengths.

    Args:
        graph: to which the nodes are added.
        crf: the transitions.
        emissions: (B, T, K).
        valid: bool (B, T), whether a step is within the lengths.
        ends: the lengths int64 (B,).
    """
    chain = crf(torch.zeros(1, 1, emissions.size))
    onward = graph.constant(as_array(chain.transitions).T)
    scores = _scores(graph, as_array(chain.starts), as_array(chain.ends), emissions, valid, ends)
    by_time = graph.op("Transpose", scores, perm=(1, 0, 2))
    inside = graph.op("Unsqueeze", graph.op("Transpose", valid, perm=(1, 0)), graph.integers(2))
    last, best = _best_scores(graph, onward, by_time, inside)
    return graph.op("Transpose", _along_best(graph, onward, last, best, inside), perm=(1, 0))


def _scores(graph: Graph, starts: np.ndarray, stops: np.ndarray, emissions: Value, valid: Value, ends: Value) -> Value:
    """Emissions with the scores of starting and ending in them; 0 beyond the lengths."""
    zero = graph.number(0.0)
    inside = graph.op("Unsqueeze", valid, graph.integers(2))
    scores = graph.op("Where", inside, emissions, zero)
    count = graph.op("Squeeze", graph.op("Shape", emissions, start=1, end=2), graph.integers(0))
    steps = graph.op("Range", *(graph.constant(np.array(0, np.int64)), count, graph.constant(np.array(1, np.int64))))
    last = graph.op("Equal", steps, graph.op("Unsqueeze", graph.op("Sub", ends, graph.integers(1)), graph.integers(1)))
    first = graph.op("And", graph.op("Equal", steps, graph.integers(0)), valid)
    for where, added in ((first, starts), (last, stops)):
        chosen = graph.op("Unsqueeze", where, graph.integers(2))
        scores = graph.op("Add", scores, graph.op("Where", chosen, graph.constant(added), zero))
    return Value(scores.name, FLOAT, emissions.shape)


def _best_scores(graph: Graph, onward: Value, scores: Value, inside: Value) -> tuple[Value, Value]:
    """The scores of the best ways to each tag: after all steps (B, K), and before each step (T, B, K)."""
    zeros = graph.op("Expand", graph.number(0.0), graph.op("Shape", scores, start=1, end=3))
    begins = graph.op("Expand", graph.constant(np.array(False)), graph.op("Shape", inside, start=1, end=3))
    shape, mask = scores.shape[1:], (scores.shape[1], 1)
    body = Graph(graph)
    before, began = body.input(body.name("best"), FLOAT, shape), body.input(body.name("began"), BOOL, mask)
    score, valid = body.input(body.name("score"), FLOAT, shape), body.input(body.name("valid"), BOOL, mask)
    ways = body.op("Add", body.op("Unsqueeze", before, body.integers(1)), onward)
    best = body.op("Add", body.op("ReduceMax", ways, axes=[2], keepdims=0), score)
    # The first step has no tag before it, even where it is beyond the length.
    best = body.op("Where", began, body.op("Where", valid, best, before), score)
    body.output(body.name("best_after"), Value(best.name, FLOAT, shape))
    body.output(body.name("began_after"), body.op("Or", began, body.op("Not", began)))
    body.output(body.name("best_before"), before)
    results = [(FLOAT, shape), (BOOL, mask), (FLOAT, scores.shape)]
    last, _, best = graph.typed(
        "Scan", results, zeros, begins, scores, inside, body=body.proto("best_scores"), num_scan_inputs=2
    )
    return last, best


def _along_best(graph: Graph, onward: Value, last: Value, best: Value, inside: Value) -> Value:
    """The tag at each step (T, B), from the last backward."""
    batch = last.shape[0]
    body = Graph(graph)
    tag = body.input(body.name("tag"), INT64, (batch,))
    before = body.input(body.name("best"), FLOAT, last.shape)
    valid = body.input(body.name("valid"), BOOL, (batch, 1))
    earlier = body.op("Add", before, body.op("Gather", onward, tag, axis=0))
    earlier = body.op("ArgMax", earlier, axis=1, keepdims=0)
    within = body.op("Squeeze", valid, body.integers(1))
    body.output(body.name("tag_before"), Value(body.op("Where", within, earlier, tag).name, INT64, (batch,)))
    body.output(body.name("tag_here"), tag)
    _, tags = graph.typed(
        "Scan",
        [(INT64, (batch,)), (INT64, (inside.shape[0], batch))],
        graph.op("ArgMax", last, axis=1, keepdims=0),
        best,
        inside,
        body=body.proto("along_best"),
        num_scan_inputs=2,
        scan_input_directions=[1, 1],
        scan_output_directions=[1],
    )
    return tags
