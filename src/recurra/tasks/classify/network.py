"""The network: embedded words, or the steps of a series, then many-to-one."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.cells import find_cell
from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding, Steps
from recurra.data.labelled.text_encoding import EncodedTexts, TextEncoding
from recurra.data.labelled.word_evidence import KINDS
from recurra.data.text.word_encoding import Tokens
from recurra.errors import DataError, ParameterError, StreamError
from recurra.models import (
    CharacterEncoder,
    ClassifierEnsemble,
    EvidenceClassifier,
    SequenceClassifier,
    TokenEmbedding,
)
from recurra.models.series_network import check_stride, make_networks, series_defaults
from recurra.streaming import ItemStream, StreamState, stream_of
from recurra.task import Fitted
from recurra.task.reservoir_options import series_trunk
from recurra.tasks.classify.learned import ClassifierLearned
from recurra.training.outputs import outputs_of

__all__ = [
    "ClassifierNetwork",
    "FittedClassifier",
    "log_odds",
    "logits_of",
    "make_network",
    "open_stream",
    "probabilities_of",
    "with_defaults",
]


class ClassifierNetwork(nn.Module):
    """Reads a batch of texts or of series and scores labels.

    Args:
        embedding: of words; None: it reads series.
        classifier: of embedded words, or of the series' steps; or several.
    """

    def __init__(self, embedding: TokenEmbedding | None, classifier: SequenceClassifier | ClassifierEnsemble) -> None:
        super().__init__()
        self.embedding = embedding
        self.classifier = classifier

    def forward(self, batch: Tokens | Steps) -> tuple[Tensor, Any]:
        """Logits (B, K), and the final state of the recurrent layers."""
        return self.classifier(self.features(batch), batch.lengths)

    def features(self, batch: Tokens | Steps) -> Tensor:
        """What the classifier reads (B, T, I)."""
        if isinstance(batch, Steps):
            return batch.values
        assert self.embedding is not None
        words = self.embedding(batch)
        return words if batch.evidence is None else torch.cat([words, batch.evidence.to(words)], dim=2)


FittedClassifier = Fitted[ClassifierLearned, ClassifierNetwork]


def make_network(options: Mapping[str, Any], learned: ClassifierLearned) -> ClassifierNetwork:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the classifier, by name.
        learned: from the training data.
    """
    options = with_defaults(options, learned)
    encoding, embedding = learned.encoding, None
    if isinstance(encoding, TextEncoding):
        words, characters = encoding.words, None
        if options["characters"] != "none":
            characters = CharacterEncoder(
                options["characters"],
                len(words.characters),
                options["character_size"],
                options["character_hidden_size"],
                find_cell(options["cell"]),
            )
        embedding = TokenEmbedding(
            len(words.words),
            options["word_size"],
            characters,
            0 if learned.vectors is None else learned.vectors.shape[1],
            words.unknown_fractions(options["unknown_rate"]),
        )
        size = embedding.size
    else:
        size = encoding.size
    if embedding is not None and options["reservoir"]:
        raise ParameterError("reservoir", "False for texts, whose words need an embedding that is trained", True)
    cell = series_trunk(options)
    kind, sizes = SequenceClassifier, (size, options["hidden_size"], len(learned.labels))
    if learned.evidence is not None:
        kind, sizes = EvidenceClassifier, (size + learned.evidence.size, *sizes[1:], KINDS)
    # A channel of a series cannot be spared: without its only one, a series is nothing but zeros.
    input_dropout = 0.0 if embedding is None else options["dropout"]
    timed = missing = False
    if isinstance(encoding, SeriesEncoding):
        timed, missing = encoding.timed, encoding.missing
    return ClassifierNetwork(embedding, make_networks(kind, cell, sizes, options, input_dropout, timed, missing))


def logits_of(
    fitted: FittedClassifier, encoded: EncodedTexts | EncodedSeries, network: nn.Module | None = None
) -> np.ndarray:
    """Scores of labels (N, K), without the temperature.

    Args:
        fitted: a classifier.
        encoded: at least one item.
        network: one with other weights; None: the classifier's own.
    """
    return outputs_of(fitted.network if network is None else network, encoded, fitted.device)


def probabilities_of(fitted: FittedClassifier, encoded: EncodedTexts | EncodedSeries) -> np.ndarray:
    """Calibrated probabilities of labels (N, K)."""
    return fitted.learned.probabilities(logits_of(fitted, encoded))


def with_defaults(options: Mapping[str, Any], learned: ClassifierLearned) -> dict[str, Any]:
    """The options of a classifier, with the value that the data decide in place of each None.

    Args:
        options: by name.
        learned: from the training data.

    Raises:
        ParameterError: a stride has no convolution.
    """
    encoding, values = learned.encoding, dict(options)
    defaults: dict[str, Any] = {"hidden_size": 128, "filters": 0, "stride": 1, "members": 1, "dropout": 0.5}
    defaults["cell"] = "lstm"
    if isinstance(encoding, SeriesEncoding):
        facts = (encoding.longest, encoding.count, encoding.timed, values["reservoir"])
        defaults = series_defaults(values["filters"], *facts)
    values |= {name: value for name, value in defaults.items() if values[name] is None}
    check_stride(values["stride"], values["filters"])
    return values


def log_odds(logits: Tensor, index: Tensor, multi_label: bool) -> Tensor:
    """log p / (1 - p) of one label an item (B,): `index` (B,), of logits (B, K)."""
    of = index.unsqueeze(1)
    chosen = logits.gather(1, of).squeeze(1)
    return chosen if multi_label else chosen - logits.scatter(1, of, -torch.inf).logsumexp(1)


_WORDS_CACHED = 10_000


def open_stream(fitted: FittedClassifier, weights: str, look_ahead: int | None) -> ItemStream:
    """The classifier as a stream of tokens, or of steps of a series; see `Estimator.open_stream`.

    Raises:
        StreamError: the classifier reads what is to come. The message says what to train instead.
    """
    learned, network = fitted.learned, fitted.network
    if learned.evidence is not None:
        raise StreamError("evidence: the classifier counts pairs of words. Train with evidence=False to stream.")
    encoding = learned.encoding
    if isinstance(encoding, SeriesEncoding) and encoding.normalization == "series":
        raise StreamError("normalization: each series is normalised as a whole. Train with normalization='channel'.")

    @lru_cache(_WORDS_CACHED)
    def features(word: str) -> np.ndarray:
        with torch.no_grad():
            tokens = learned.encode([word]).batch(np.array([0])).to(fitted.device)
            return network.features(tokens)[0].cpu().numpy()

    def read(item: Any, state: StreamState) -> np.ndarray:
        if isinstance(encoding, SeriesEncoding):
            return encoding.encode_step(item)
        if not isinstance(item, str) or len(encoding.tokens(item)) != 1 or not item.strip():
            raise DataError("item: expected one word or mark")
        return features(item)

    names = learned.labels.names.symbols

    def answer(_: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        probabilities = learned.probabilities(logits[-1:])[0]
        [labels] = learned.labels.decode(probabilities[None])
        return {"labels": list(labels), "probabilities": dict(zip(names, map(float, probabilities), strict=True))}

    words, example = "a word", "good"
    if isinstance(encoding, SeriesEncoding):
        words = f"a step of a series: {', '.join(encoding.channels)}"
        example = encoding.example
    return stream_of(network.classifier, read, answer, words, example, weights=weights, look_ahead=look_ahead)
