"""Words as ONNX: what `TokenEmbedding` makes of their ids, vectors and spellings."""

import numpy as np

from recurra.export.onnx.context import Context, mask_of
from recurra.export.onnx.graph import FLOAT, INT64, Graph, Value
from recurra.export.onnx.modules import add_module
from recurra.models.character_encoder import CharacterEncoder
from recurra.models.token_embedding import TokenEmbedding

__all__ = ["add_tokens"]


def add_tokens(context: Context, embedding: TokenEmbedding, evidence: int = 0) -> tuple[Value, Value]:
    """Add the inputs of a batch of words.

    Args:
        context: to whose graph they are added.
        embedding: of the words.
        evidence: E, features of a word that are read beside the embedding's.

    Returns:
        The words int64 (B, T), and their features (B, T, F), evidence last.
    """
    graph = context.graph
    words = graph.input("words", INT64, ("batch", "time"), limit=embedding.words.num_embeddings)
    context.add_lengths()
    parts = [add_module(context, embedding.words, "embedding.words", words)]
    if embedding.vector_size:
        parts.append(graph.input("vectors", FLOAT, ("batch", "time", embedding.vector_size)))
    if embedding.characters is not None:
        parts.append(_spelled(context, embedding.characters))
    if evidence:
        parts.append(graph.input("evidence", FLOAT, ("batch", "time", evidence)))
    return words, parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=2)


def _spelled(context: Context, encoder: CharacterEncoder) -> Value:
    """The features of each word's spelling (B, T, F), from the characters of the different words."""
    graph = context.graph
    limit = encoder.embedding.num_embeddings
    characters = graph.input("characters", INT64, ("words", "characters"), limit=limit)
    lengths = graph.input("character_lengths", INT64, ("words",), limit="characters", is_length=True)
    spellings = graph.input("spellings", INT64, ("batch", "time"), limit="words")
    embedded = add_module(context, encoder.embedding, "embedding.characters.embedding", characters)
    return graph.op("Gather", _encoded(context, encoder, embedded, lengths), spellings, axis=0)


def _encoded(context: Context, encoder: CharacterEncoder, embedded: Value, lengths: Value) -> Value:
    graph = context.graph
    if encoder.recurrent is not None:
        own = Context(graph, with_states=False)  # a word begins at zeros
        _, state = add_module(own, encoder.recurrent, "characters", embedded, lengths=lengths)
        last = state[0] if isinstance(state, tuple) else state
        return graph.op("Reshape", graph.op("Transpose", last, perm=(1, 0, 2)), graph.integers(0, encoder.size))
    assert encoder.convolution is not None
    valid = graph.op("Unsqueeze", mask_of(graph, embedded, lengths), graph.integers(2))
    inside = _masked(graph, valid, embedded, 0.0)
    features = add_module(context, encoder.convolution, "characters", graph.op("Transpose", inside, perm=(0, 2, 1)))
    features = graph.op("Transpose", features, perm=(0, 2, 1))
    lowest = float(np.finfo(np.float32).min)
    largest = graph.op("ReduceMax", _masked(graph, valid, features, lowest), axes=[1], keepdims=0)
    some = graph.op("Unsqueeze", graph.op("Greater", lengths, graph.integers(0)), graph.integers(1))
    return _masked(graph, some, largest, 0.0)


def _masked(graph: Graph, valid: Value, value: Value, otherwise: float) -> Value:
    return graph.op("Where", valid, value, graph.number(otherwise))
