"""Tagging: the CRF, batches and validation, and from sentences to tags and their confidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets
from recurra.data.batches.ignored import IGNORED
from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import Span, allowed_transitions, spans_of
from recurra.data.text.word_encoding import EncodedSentences
from recurra.errors import DataError, ParameterError
from recurra.models import IndependentTags, LinearChain, LinearChainCRF, SequenceTagger
from recurra.task import Fitted
from recurra.tasks.tag.learned import TagSet, TagVocabulary
from recurra.tasks.tag.scores import score
from recurra.training import processes

__all__ = ["AnyFitted", "TaggedSentence", "make_crf", "mean_loss", "tag", "training_batches", "validation"]

AnyFitted = Fitted[TagVocabulary, SequenceTagger]

_WORDS_AT_ONCE = 2048


@dataclass(frozen=True)
class TaggedSentence:
    """Words with their predicted tags.

    Attributes:
        words: of the sentence.
        tags: one for each word, in the scheme of the training data.
        confidence: the probability of each tag given all words of the sentence, 0 to 1.
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
    words, tag_set = [sentence.words for sentence in annotated], fitted.learned.tag_set

    def validate(network: nn.Module) -> float:
        # The averaged weights are in a network of their own.
        indices, _ = tag(fitted, words, confidence=False, network=network)
        scores = score(annotated, [tag_set.decode(one) for one in indices], tag_set.scheme is not None)
        return 1 - (scores.accuracy if scores.overall is None else scores.overall.f1)

    return validate


@torch.no_grad()
def tag(
    fitted: AnyFitted, sentences: Sequence[Sequence[str]], confidence: bool = True, network: nn.Module | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The ids of the tags of each sentence, and the probability of each given all words.

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
            marginals = chain.marginals().gather(2, best.clamp(min=0).unsqueeze(2)).squeeze(2).cpu().numpy()
        for row, index in enumerate(indices):
            tags[index] = ids[row, : encoded.lengths[index]]
            if marginals is not None:
                probabilities[index] = marginals[row, : encoded.lengths[index]]
    return tags, probabilities


def _annotated(sentences: Sequence[Sentence]) -> list[Sentence]:
    return [sentence for sentence in sentences if any(tag is not None for tag in sentence.tags or ())]
