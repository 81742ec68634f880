"""The package's own models as ONNX."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recurra.data.batches.ignored import IGNORED
from recurra.errors import ExportError
from recurra.export.onnx.context import Context, ends_of, mask_of
from recurra.export.onnx.convolutions import add_convolutions
from recurra.export.onnx.forecasting import add_forecast
from recurra.export.onnx.forms import Form
from recurra.export.onnx.graph import FLOAT, INT64, Value
from recurra.export.onnx.input_decay import add_input_decay
from recurra.export.onnx.modules import add_module, linear
from recurra.export.onnx.tokens import add_tokens
from recurra.export.onnx.viterbi import add_best_tags
from recurra.export.tokens import tokens_of
from recurra.models.classifier import SequenceClassifier
from recurra.models.classifier_ensemble import ClassifierEnsemble
from recurra.models.evidence import EvidenceClassifier
from recurra.models.forecasting.pipeline import ForecastPipeline
from recurra.models.frames import FrameBiases
from recurra.models.language import RecurrentLanguageModel
from recurra.models.tagger import SequenceTagger
from recurra.models.token_embedding import TokenEmbedding
from recurra.program.builder import as_array

__all__ = ["MODELS", "writer_of"]


def _language_model(context: Context, model: RecurrentLanguageModel) -> Form:
    """The log probability of every symbol after each step (B, T, V), in nats."""
    graph = context.graph
    symbols = graph.input("symbols", INT64, ("batch", "time"), limit=model.vocabulary_size)
    context.add_lengths()
    embedded = add_module(context, model.embedding, "embedding", symbols)
    output, _ = add_module(context, model.recurrent, "recurrent", embedded, lengths=context.lengths)
    context.runs_with_lengths.append("recurrent")
    if model.projection is not None:
        output = add_module(context, model.projection, "projection", output)
    if model.adaptive is not None:
        logs = _adaptive(context, model.adaptive, output)
    else:
        assert model.weight is not None
        assert model.bias is not None
        # Not transposed here: the table of tied embeddings is then stored once.
        weight = graph.op("Transpose", graph.constant(as_array(model.weight)), perm=(1, 0))
        logits = graph.op("Add", graph.op("MatMul", output, weight), graph.constant(as_array(model.bias)))
        logs = graph.op("LogSoftmax", logits, axis=-1)

    def reference(model: RecurrentLanguageModel, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features, _ = model(inputs["symbols"])
        return {"log_probabilities": model.log_probabilities(features)}

    return Form({"log_probabilities": logs}, reference)


def _frame_biases(context: Context, model: FrameBiases) -> Form:
    """The biases of the frame after each step (B, T, N), or with those of hidden units behind them."""
    frames = context.graph.input("frames", FLOAT, ("batch", "time", model.input_size))
    context.add_lengths()
    output, _ = add_module(context, model.recurrent, "recurrent", frames, lengths=context.lengths)
    context.runs_with_lengths.append("recurrent")
    biases = add_module(context, model.biases, "biases", output)
    return Form({"biases": biases}, lambda model, inputs: {"biases": model(inputs["frames"])})


def _adaptive(context: Context, softmax: nn.AdaptiveLogSoftmaxWithLoss, features: Value) -> Value:
    """The log probabilities of the head's symbols, and of each tail's: that of the tail plus those within it."""
    graph = context.graph
    head = graph.op("LogSoftmax", linear(graph, features, softmax.head.weight, softmax.head.bias), axis=-1)
    sizes = graph.integers(softmax.shortlist_size, *[1] * softmax.n_clusters)
    first, *tails = graph.ops("Split", 1 + softmax.n_clusters, head, sizes, axis=-1)
    parts = [first]
    for own, module in zip(tails, softmax.tail, strict=True):
        value = features
        for layer in module.children():
            value = add_module(context, layer, "adaptive", value)
        parts.append(graph.op("Add", graph.op("LogSoftmax", value, axis=-1), own))
    return graph.op("Concat", *parts, axis=-1)


def _classifier(context: Context, model: SequenceClassifier | ClassifierEnsemble) -> Form:
    """The scores of the labels (B, K): logits."""
    return Form({"scores": _scores(context, model, "", _series(context, model.input_size))}, _scores_of)


def _scores_of(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    whole = torch.full(inputs["input"].shape[:1], inputs["input"].shape[1])
    return {"scores": model(inputs["input"], inputs.get("lengths", whole))[0]}


def _series(context: Context, features: int) -> Value:
    """The inputs (B, T, I)."""
    inputs = context.graph.input("input", FLOAT, ("batch", "time", features))
    context.add_lengths()
    return inputs


def _scores(context: Context, model: SequenceClassifier | ClassifierEnsemble, prefix: str, inputs: Value) -> Value:
    """The scores of inputs (B, T, I); the states of layers have names that begin with the prefix."""
    if isinstance(model, SequenceClassifier):
        return _scores_of_one(context, model, prefix, inputs)
    graph, scores = context.graph, []
    for k, member in enumerate(model.networks):
        assert isinstance(member, SequenceClassifier)
        scores.append(_scores_of_one(context, member, f"{prefix}networks.{k}.", inputs))
    total = scores[0] if len(scores) == 1 else graph.op("Sum", *scores)
    return graph.op("Div", total, graph.number(len(scores)))


def _scores_of_one(context: Context, model: SequenceClassifier, prefix: str, inputs: Value) -> Value:
    graph, lengths = context.graph, context.lengths
    read, elapsed, pooled = inputs, None, []
    ages = None
    if model.decay is not None:
        read, ages = add_input_decay(graph, model.decay, inputs)
    if ages is not None and model.elapsed_size > 1:
        elapsed = ages
    elif model.elapsed_size:
        sizes = graph.integers(model.input_size - model.num_times, model.num_times)
        elapsed = graph.ops("Split", 2, inputs, sizes, axis=2)[1]
    if model.convolution is not None:
        read, lengths = add_convolutions(context, model.convolution, inputs, lengths)
        pooled.append(add_module(context, model.filter_pooling, "", read, lengths))
    output, _ = add_module(context, model.recurrent, f"{prefix}recurrent", read, lengths=lengths, elapsed=elapsed)
    pooled.append(add_module(context, model.pooling, "", output, lengths))
    whole = pooled[0] if len(pooled) == 1 else graph.op("Concat", *pooled, axis=1)
    scores = add_module(context, model.scores, f"{prefix}scores", whole)
    if not isinstance(model, EvidenceClassifier):
        return scores
    kinds, labels = len(model.evidence), scores.size
    first, count = graph.integers(model.input_size - kinds * labels), graph.integers(model.input_size)
    evidence = graph.op("Slice", inputs, first, count, graph.integers(2))
    if context.lengths is not None:
        valid = graph.op("Unsqueeze", mask_of(graph, inputs, context.lengths), graph.integers(2))
        evidence = graph.op("Where", valid, evidence, graph.number(0.0))
    sums = graph.op("ReduceSum", evidence, graph.integers(1), keepdims=0)
    by_kind = graph.op("Reshape", sums, graph.integers(0, kinds, labels))
    weighted = graph.op("Mul", by_kind, graph.constant(as_array(model.evidence)[:, None]))
    return graph.op("Add", scores, graph.op("ReduceSum", weighted, graph.integers(1), keepdims=0))


def _series_classifier(context: Context, model: Any) -> Form:
    """A classifier of series, which `model` passes on."""
    classifier = model.classifier
    return Form(
        {"scores": _scores(context, classifier, "classifier.", _series(context, classifier.input_size))},
        lambda model, inputs: _scores_of(model.classifier, inputs),
    )


def _text_classifier(context: Context, model: Any) -> Form:
    """A classifier of words, which `model` embeds."""
    classifier = model.classifier
    _, features = add_tokens(context, model.embedding, classifier.input_size - model.embedding.size)
    return Form({"scores": _scores(context, classifier, "classifier.", features)}, _text_scores_of)


def _text_scores_of(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"scores": model(tokens_of(inputs))[0]}


def _tagger(context: Context, model: SequenceTagger) -> Form:
    """The scores of the tags of each word (B, T, K), and the best tags (B, T), -100 beyond the lengths."""
    graph = context.graph
    words, features = add_tokens(context, model.embedding)
    output, _ = add_module(context, model.recurrent, "recurrent", features, lengths=context.lengths)
    emissions = add_module(context, model.emissions, "emissions", output)
    ends = ends_of(graph, words, context.lengths)
    valid = mask_of(graph, words, ends)
    if model.crf is None:
        best = graph.op("ArgMax", emissions, axis=2, keepdims=0)
    else:
        best = add_best_tags(graph, model.crf, emissions, valid, ends)
    return Form({"emissions": emissions, "tags": graph.op("Where", valid, best, graph.integers(IGNORED))}, _tags_of)


def _tags_of(model: SequenceTagger, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    chain, _ = model(tokens_of(inputs))
    return {"emissions": chain.emissions, "tags": chain.best()}


#: The function of each class of models.
MODELS: dict[type[nn.Module], Callable[[Context, Any], Form]] = {
    RecurrentLanguageModel: _language_model,
    FrameBiases: _frame_biases,
    SequenceClassifier: _classifier,
    EvidenceClassifier: _classifier,
    ClassifierEnsemble: _classifier,
    SequenceTagger: _tagger,
    ForecastPipeline: add_forecast,
}


def writer_of(model: nn.Module) -> Callable[[Context, Any], Form] | None:
    """The function for a model; None for a module that is not of the package.

    Raises:
        ExportError: naming a model of the package that has no form here.
    """
    if type(model) in MODELS:
        return MODELS[type(model)]
    embedding, classifier = (getattr(model, name, None) for name in ("embedding", "classifier"))
    if isinstance(classifier, SequenceClassifier | ClassifierEnsemble):
        if isinstance(embedding, TokenEmbedding):
            return _text_classifier
        if embedding is None:
            return _series_classifier
    if type(model).__module__.startswith("recurra.models"):
        names = ", ".join(kind.__name__ for kind in MODELS)
        raise ExportError(f"the model: a {type(model).__name__} has no form in ONNX here; {names} have")
    return None
