"""From tagged sentences and settings to a trained model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batches.buckets import Buckets
from recurra.data.batches.ignored import IGNORED
from recurra.data.text.conll import Sentence
from recurra.data.text.word_encoding import EncodedSentences, WordEncoding, vector_table
from recurra.data.text.word_vectors import WordVectors
from recurra.errors import DataError, ParameterError
from recurra.models import IndependentTags, LinearChain
from recurra.tasks.tag.encoding import TagSet
from recurra.tasks.tag.fitted import FittedTagger
from recurra.tasks.tag.metrics import score
from recurra.tasks.tag.settings import TagSettings
from recurra.training import Batch, Trainer, processes
from recurra.training.device import check_device

__all__ = ["make_trainer", "prepare"]


def prepare(
    sentences: Sequence[Sentence], settings: TagSettings, source: str, vectors: WordVectors | None = None
) -> FittedTagger:
    """A tagger to be trained on these sentences; nothing long is done yet.

    Raises:
        DataError: where no word has a tag.
        ParameterError: for a device that is not there.
    """
    check_device(settings.device)
    tag_set = TagSet.of(sentences, settings.scheme, source)
    words = [sentence.words for sentence in sentences]
    encoding = WordEncoding.of(words, settings.lowercase, settings.min_count, vectors)
    return FittedTagger(settings, encoding, tag_set, None if vectors is None else vector_table(vectors))


def make_trainer(
    model: FittedTagger,
    sentences: Sequence[Sentence],
    valid: Sequence[Sentence] | None = None,
    folder: Path | None = None,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Trainer:
    """The trainer of a tagger.

    The loss is the negative log-likelihood of a sentence's tags, a mean over words; validated is what is to be
    reported: the share of words tagged wrongly, or, of entities, one minus F1.

    Args:
        model: to be trained.
        sentences: to learn from.
        valid: to choose the best weights by; None to keep the last.
        folder: of the run.
        tensorboard: as of `Trainer`.
        progress: as of `Trainer`.

    Raises:
        DataError: where no word of `valid` has a tag.
    """
    settings, share = model.settings, processes().share
    if settings.batch_size < share.count:
        raise ParameterError("batch_size", f"at least the number of processes, {share.count}", settings.batch_size)
    # A sentence without any tag has nothing to teach.
    kept = [sentence for sentence in sentences if any(tag is not None for tag in sentence.tags or ())]
    encoded = EncodedSentences(model.encoding, [sentence.words for sentence in kept], model.vectors)
    targets = torch.tensor([number for sentence in kept for number in model.tag_set.encode(sentence)])
    buckets = Buckets(encoded.lengths, settings.batch_size, seed=settings.seed, share=share)

    def batch(step: int) -> Batch:
        indices = buckets(step)
        if not len(indices):
            # More processes than sentences are left: any sentence, so that all make the step.
            indices, weight = np.array([0]), 0.0
        else:
            weight = float(encoded.lengths[indices].sum())
        target, _ = encoded.padded(targets, indices, IGNORED)
        return Batch(encoded.tokens(indices).to(model.device), target.to(model.device), weight)

    return Trainer(
        model.network,
        mean_loss,
        batch,
        settings,
        None if valid is None else _validation(model, valid),
        folder,
        tensorboard,
        progress=progress,
    )


def mean_loss(chain: LinearChain | IndependentTags, target: Tensor) -> Tensor:
    """The negative log-likelihood of tags (B, T), -100 where unknown, over the number of words."""
    words = int(chain.lengths.sum())
    return -chain.log_likelihood(target).sum() / words


def _validation(model: FittedTagger, valid: Sequence[Sentence]) -> Callable[[nn.Module], float]:
    annotated = [sentence for sentence in valid if any(tag is not None for tag in sentence.tags or ())]
    if not annotated:
        raise DataError("the validation data: no word has a tag. Name the tags' column (--tag-column).")
    words = [sentence.words for sentence in annotated]

    def validate(network: nn.Module) -> float:
        # The averaged weights are in a network of their own.
        tags, _ = model.tag(words, confidence=False, network=network)
        entities = model.tag_set.scheme is not None
        found = score(annotated, [model.tag_set.decode(numbers) for numbers in tags], entities)
        return 1 - (found.accuracy if found.overall is None else found.overall.f1)

    return validate
