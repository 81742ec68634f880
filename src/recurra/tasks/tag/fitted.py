"""A tagger as it computes: from sentences to tags and their confidence."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from recurra.cells import find_cell
from recurra.data.batches.buckets import Buckets
from recurra.data.text.tag_schemes import allowed_transitions
from recurra.data.text.word_encoding import EncodedSentences, WordEncoding
from recurra.models import CharacterEncoder, LinearChainCRF, SequenceTagger
from recurra.tasks.tag.encoding import TagSet
from recurra.tasks.tag.settings import TagSettings
from recurra.training.device import usable_device

__all__ = ["FittedTagger"]

_WORDS_AT_ONCE = 2048


@dataclass
class FittedTagger:
    """Everything tagging needs.

    Attributes:
        settings: of the tagger.
        encoding: of words and characters.
        tag_set: the tags, and their schemes.
        vectors: pretrained (V, P), row 0 for words without one; None where there are none.
    """

    settings: TagSettings
    encoding: WordEncoding
    tag_set: TagSet
    vectors: Tensor | None = None
    network: SequenceTagger = field(init=False)

    def __post_init__(self) -> None:
        name = self.settings.device
        # On the CPU where there is no other, so that what was trained on a GPU runs anywhere.
        self.device = usable_device(name)
        self.network = self._make_network().to(self.device)

    @torch.no_grad()
    def tag(
        self, sentences: Sequence[Sequence[str]], confidence: bool = True, network: nn.Module | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The numbers of the tags of each sentence, and the probability of each given all words.

        Args:
            sentences: the words of each, at least one.
            confidence: whether to compute the probabilities; else they are empty.
            network: with other weights than the model's; its own where None.
        """
        tags: list[np.ndarray] = [np.empty(0, np.int64)] * len(sentences)
        certain = [np.empty(0)] * len(sentences)
        if not sentences:
            return tags, certain
        encoded = EncodedSentences(self.encoding, sentences, self.vectors)
        at_once = max(_WORDS_AT_ONCE, int(encoded.lengths.max()))
        buckets = Buckets(encoded.lengths, tokens=at_once, shuffle=False)
        network = self.network if network is None else network
        network.eval()
        for step in range(1, buckets.steps_per_epoch + 1):
            indices = buckets(step)
            chain, _ = network(encoded.tokens(indices).to(self.device))
            best = chain.best()
            found = best.cpu().numpy()
            shares = None
            if confidence:
                shares = chain.marginals().gather(2, best.clamp(min=0).unsqueeze(2)).squeeze(2).cpu().numpy()
            for row, index in enumerate(indices):
                tags[index] = found[row, : encoded.lengths[index]]
                if shares is not None:
                    certain[index] = shares[row, : encoded.lengths[index]]
        return tags, certain

    def _make_network(self) -> SequenceTagger:
        """The network; weights drawn from the settings' seed, torch's generator left as it was."""
        settings, count = self.settings, len(self.tag_set.tags)
        cell = find_cell(settings.cell)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            characters = None
            if settings.characters != "none":
                characters = CharacterEncoder(
                    settings.characters,
                    len(self.encoding.characters),
                    settings.character_size,
                    settings.character_hidden_size,
                    cell,
                )
            return SequenceTagger(
                cell,
                len(self.encoding.words),
                settings.word_size,
                settings.hidden_size,
                self._make_crf() if settings.output == "crf" else count,
                settings.num_layers,
                characters,
                0 if self.vectors is None else self.vectors.shape[1],
                self.encoding.unknown_shares(settings.unknown_rate),
                settings.dropout,
                settings.recurrent_dropout,
            )

    def _make_crf(self) -> LinearChainCRF:
        tags, scheme = self.tag_set.tags.symbols, self.tag_set.scheme
        if scheme is None:
            return LinearChainCRF(len(tags))
        return LinearChainCRF(len(tags), *map(torch.from_numpy, allowed_transitions(tags, scheme)))
