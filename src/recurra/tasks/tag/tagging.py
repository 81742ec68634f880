"""Tagging: the CRF, batches and validation, and from sentences to tags and their confidence."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets
from recurra.data.batches.ignored import IGNORED, is_ignored
from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import Span, allowed_transitions, spans_of
from recurra.data.text.word_encoding import EncodedSentences
from recurra.errors import DataError, ParameterError
from recurra.models import IndependentTags, LinearChain, LinearChainCRF, SequenceTagger
from recurra.streaming import ItemStream, StreamState, stream_of
from recurra.task import Fitted
from recurra.tasks.tag.learned import TagSet, TagVocabulary
from recurra.tasks.tag.scores import score
from recurra.training import processes

__all__ = [
    "AnyFitted",
    "TaggedSentence",
    "baseline_loss",
    "fit_temperature",
    "make_crf",
    "mean_loss",
    "open_stream",
    "tag",
    "tempered",
    "training_batches",
    "validation",
]

AnyFitted = Fitted[TagVocabulary, SequenceTagger]

_WORDS_AT_ONCE = 2048
_WORDS_CACHED = 10_000
_LARGEST = 20.0  # temperature
_LEAST = 1e-7  # probability that is told from 0, and from 1: marginals are float32


@dataclass(frozen=True)
class TaggedSentence:
    """Words with their predicted tags.

    Attributes:
        words: of the sentence.
        tags: one for each word, in the scheme of the training data.
        confidence: the calibrated probability of each tag given all words of the sentence, 0 to 1.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    confidence: tuple[float, ...]

    @property
    def spans(self) -> list[Span]:
        """The entities, if tags are of entities."""
        return spans_of(self.tags)


def make_crf(tag_set: TagSet) -> LinearChainCRF:
    """A CRF over the tags, which excludes what their scheme excludes."""
    tags, scheme = tag_set.tags.symbols, tag_set.scheme
    if scheme is None:
        return LinearChainCRF(len(tags))
    return LinearChainCRF(len(tags), *map(torch.from_numpy, allowed_transitions(tags, scheme)))


def mean_loss(chain: LinearChain | IndependentTags, target: Tensor) -> Tensor:
    """The negative log-likelihood of tags (B, T), -100 for unknown ones, over the number of words."""
    words = int(chain.lengths.sum())
    return -chain.log_likelihood(target).sum() / words


def training_batches(
    fitted: AnyFitted, sentences: Sequence[Sentence], batch_size: int, seed: int
) -> Callable[[int], Batch]:
    """This process's part of the batch of each step.

    Raises:
        ParameterError: there are more processes than sentences in a batch.
    """
    learned, partition = fitted.learned, processes().partition
    if batch_size < partition.count:
        raise ParameterError("batch_size", f"at least the number of processes, {partition.count}", batch_size)
    # Sentences without any tag are left out: they do not count in the loss.
    annotated = _annotated(sentences)
    encoded = EncodedSentences(learned.encoding, [sentence.words for sentence in annotated], learned.vectors)
    targets = torch.tensor([index for sentence in annotated for index in learned.tag_set.encode(sentence)])
    buckets = Buckets(encoded.lengths, batch_size, seed=seed, partition=partition)

    def batch(step: int) -> Batch:
        indices = buckets(step)
        if not len(indices):
            # More processes than sentences are left. This one takes any sentence with weight 0: all must make the step.
            indices, weight = np.array([0]), 0.0
        else:
            weight = float(encoded.lengths[indices].sum())
        target, _ = encoded.padded(targets, indices, IGNORED)
        return Batch(encoded.tokens(indices).to(fitted.device), target.to(fitted.device), weight)

    return batch


def validation(fitted: AnyFitted, sentences: Sequence[Sentence]) -> Callable[[nn.Module], float]:
    """The validation, as a loss: the fraction of words with a wrong tag or, for entities, one minus F1.

    Raises:
        DataError: no word has a tag.
    """
    annotated = _annotated(sentences)
    if not annotated:
        raise DataError("the validation data: no word has a tag. Name the tags' column (--tag-column).")
    words = [sentence.words for sentence in annotated]

    def validate(network: nn.Module) -> float:
        # The averaged weights are in a network of their own.
        indices, _ = tag(fitted, words, confidence=False, network=network)
        return _loss(fitted, annotated, [fitted.learned.tag_set.decode(one) for one in indices])

    return validate


def baseline_loss(fitted: AnyFitted, sentences: Sequence[Sentence]) -> float:
    """The validation loss of the most frequent tag of each word; see `validation`."""
    annotated = _annotated(sentences)
    return _loss(fitted, annotated, [fitted.learned.baseline.tag(sentence.words) for sentence in annotated])


def _loss(fitted: AnyFitted, sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]) -> float:
    scores = score(sentences, predicted, fitted.learned.tag_set.scheme is not None)
    return 1 - (scores.accuracy if scores.overall is None else scores.overall.f1)


@torch.no_grad()
def tag(
    fitted: AnyFitted, sentences: Sequence[Sequence[str]], confidence: bool = True, network: nn.Module | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The ids of the tags of each sentence, and the calibrated probability of each given all words.

    Args:
        fitted: the model.
        sentences: the words of each, at least one.
        confidence: whether to compute the probabilities; else they are empty.
        network: with other weights than the model's; None: its own.
    """
    tags: list[np.ndarray] = [np.empty(0, np.int64)] * len(sentences)
    probabilities = [np.empty(0)] * len(sentences)
    if not sentences:
        return tags, probabilities
    learned = fitted.learned
    encoded = EncodedSentences(learned.encoding, sentences, learned.vectors)
    buckets = Buckets(encoded.lengths, tokens=max(_WORDS_AT_ONCE, int(encoded.lengths.max())), shuffle=False)
    network = fitted.network if network is None else network
    network.eval()
    for step in range(1, buckets.steps_per_epoch + 1):
        indices = buckets(step)
        chain, _ = network(encoded.tokens(indices).to(fitted.device))
        best = chain.best()
        ids = best.cpu().numpy()
        marginals = None
        if confidence:
            tempered = chain.tempered(learned.temperature)
            marginals = tempered.marginals().gather(2, best.clamp(min=0).unsqueeze(2)).squeeze(2).cpu().numpy()
        for row, index in enumerate(indices):
            tags[index] = ids[row, : encoded.lengths[index]]
            if marginals is not None:
                probabilities[index] = marginals[row, : encoded.lengths[index]]
    return tags, probabilities


@torch.no_grad()
def fit_temperature(fitted: AnyFitted, sentences: Sequence[Sentence]) -> float:
    """The temperature of the distribution over tags by which the probabilities of single tags fit best.

    It is the T that gives the true tags of words the least mean -log p, where p is the marginal of the distribution
    with all scores divided by T (Guo et al. 2017, section 4.2, for the marginals of a CRF). A few words that are all
    tagged right would leave no doubt at all: they count as if one more were there that is wrong in all but one of K
    cases. T is between 1/20 and 20.

    Args:
        fitted: the model.
        sentences: with tags, that the network was not trained on.

    Returns:
        T; 1 if no word has a tag that training knows.
    """
    annotated, learned = _annotated(sentences), fitted.learned
    targets = [torch.tensor(learned.tag_set.encode(sentence)) for sentence in annotated]
    words = sum(int((~is_ignored(target)).sum()) for target in targets)
    if not words:
        return 1.0
    encoded = EncodedSentences(learned.encoding, [sentence.words for sentence in annotated], learned.vectors)
    buckets = Buckets(encoded.lengths, tokens=max(_WORDS_AT_ONCE, int(encoded.lengths.max())), shuffle=False)
    fitted.network.eval()
    batches = []
    for step in range(1, buckets.steps_per_epoch + 1):
        indices = buckets(step)
        chain, _ = fitted.network(encoded.tokens(indices).to(fitted.device))
        target = nn.utils.rnn.pad_sequence([targets[k] for k in indices], batch_first=True, padding_value=IGNORED)
        batches.append((chain, target.to(fitted.device)))
    count = len(learned.tag_set.tags)
    doubt = (1 - 1 / count) / (words + 1)

    def loss(log_temperature: float) -> float:
        total = 0.0
        for chain, target in batches:
            known = ~is_ignored(target)
            marginals = chain.tempered(math.exp(log_temperature)).marginals()[known].double()
            right = marginals.gather(1, target[known].unsqueeze(1)).clamp(_LEAST, 1 - _LEAST)
            total -= float(((1 - doubt) * right.log() + doubt * (1 - right).log()).sum())
        return total

    return math.exp(_least(loss, -math.log(_LARGEST), math.log(_LARGEST)))


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, to 1 %: golden-section search (Kiefer 1953)."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 0.01:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _annotated(sentences: Sequence[Sentence]) -> list[Sentence]:
    return [sentence for sentence in sentences if any(tag is not None for tag in sentence.tags or ())]


def open_stream(fitted: AnyFitted, weights: str, look_ahead: int | None) -> ItemStream:
    """The tagger as a stream of words; see `Estimator.open_stream`.

    Raises:
        StreamError: the tagger reads sentences backward too, and looks no words ahead.
    """
    learned, embedding = fitted.learned, fitted.network.embedding
    names = learned.tag_set.tags.symbols

    @lru_cache(_WORDS_CACHED)
    def features(word: str) -> np.ndarray:
        encoded = EncodedSentences(learned.encoding, [(word,)], learned.vectors)
        with torch.no_grad():
            return embedding(encoded.tokens(np.array([0])).to(fitted.device))[0].cpu().numpy()

    def read(item: Any, state: StreamState) -> np.ndarray:
        if not isinstance(item, str) or not item or item.split() != [item]:
            raise DataError("item: expected a word, without white space")
        return features(item)

    def answer(_: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
        best = int(probabilities[-1].argmax())
        return {"tag": names[best], "confidence": float(probabilities[-1, best])}

    network = tempered(fitted.network, learned.temperature)
    return stream_of(network, read, answer, "a word", "The", weights=weights, look_ahead=look_ahead)


def tempered(network: SequenceTagger, temperature: float) -> SequenceTagger:
    """A copy whose scores are divided by a temperature."""
    network = copy.deepcopy(network).cpu()
    with torch.no_grad():
        for module in (network.emissions, network.crf):
            for parameter in () if module is None else module.parameters():
                parameter /= temperature
    return network
