"""The network: words embedded, or steps as they are, then many-to-one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells import find_cell
from recurra.data.batches.ignored import is_ignored
from recurra.data.text.word_encoding import Tokens
from recurra.models import CharacterEncoder, SequenceClassifier, TokenEmbedding
from recurra.tasks.classify.encoding import SeriesEncoding, Steps, TextEncoding
from recurra.tasks.classify.settings import ClassifySettings

__all__ = ["ClassifierNetwork", "classification_loss", "log_odds", "make_network"]


class ClassifierNetwork(nn.Module):
    """Reads a batch of texts or of series and scores labels.

    Args:
        embedding: of words; None for series.
        classifier: of what it gives, or of the series' steps.
    """

    def __init__(self, embedding: TokenEmbedding | None, classifier: SequenceClassifier) -> None:
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
        return self.embedding(batch)


def make_network(
    settings: ClassifySettings, encoding: TextEncoding | SeriesEncoding, num_labels: int, vector_size: int
) -> ClassifierNetwork:
    """The network; weights drawn from the settings' seed, torch's generator left as it was."""
    cell = find_cell(settings.cell)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        embedding = None
        if isinstance(encoding, TextEncoding):
            words = encoding.words
            characters = None
            if settings.characters != "none":
                characters = CharacterEncoder(
                    settings.characters,
                    len(words.characters),
                    settings.character_size,
                    settings.character_hidden_size,
                    cell,
                )
            unknown = words.unknown_shares(settings.unknown_rate)
            embedding = TokenEmbedding(len(words.words), settings.word_size, characters, vector_size, unknown)
            size = embedding.size
        else:
            size = encoding.size
        classifier = SequenceClassifier(
            cell,
            size,
            settings.hidden_size,
            num_labels,
            settings.num_layers,
            settings.bidirectional,
            settings.pooling,
            settings.filters,
            settings.kernel_size,
            settings.stride,
            settings.dropout,
            settings.recurrent_dropout,
        )
        return ClassifierNetwork(embedding, classifier)


def classification_loss(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """The mean loss over items.

    Args:
        logits: (B, K).
        target: (B,) numbers, -100 for items that do not count: cross-entropy; or (B, K) of 0 and 1: the mean over
            labels of binary cross-entropies.
        weights: of labels (K,), `LabelSet.weights`; None for 1 each.
        label_smoothing: share of the probability spread over all labels.

    Returns:
        0-dim, in nats; 0 where nothing counts.
    """
    if target.is_floating_point():
        smoothed = target * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights)
    counted = ~is_ignored(target)
    # The mean over items and not over their weights, so that batches of rare and of frequent labels add up.
    losses = F.cross_entropy(logits, target, weights, reduction="none", label_smoothing=label_smoothing)
    return losses.sum() / counted.sum().clamp(min=1)


def log_odds(logits: Tensor, number: Tensor, several: bool) -> Tensor:
    """log p / (1 - p) of one label an item (B,): `number` (B,), of logits (B, K)."""
    of = number.unsqueeze(1)
    chosen = logits.gather(1, of).squeeze(1)
    return chosen if several else chosen - logits.scatter(1, of, -torch.inf).logsumexp(1)
