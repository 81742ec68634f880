"""How near captions are to those that people wrote: CIDEr-D and ROUGE-L, as coco-caption computes them."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

__all__ = ["CiderD", "rouge_l"]

Words = Sequence[str]

_ORDERS = 4
_SIGMA = 6.0
_SCALE = 10.0
_BETA = 1.2


class CiderD:
    """CIDEr-D (Vedantam et al. 2015), 0 to 10: agreement with several captions, by the n-grams that few images have.

    For n of 1 to 4 a caption is a vector of its n-grams: their count times log(N / document frequency), N images in
    all. The similarity to a reference is the cosine in which no n-gram counts more often than in the reference, times
    exp(-(difference of the numbers of words)^2 / (2 * 6^2)). CIDEr-D is 10 times its mean over references and n. As in
    coco-caption, words are not stemmed, and document frequencies are those of the references.

    Args:
        references: of each image its captions in words, one or more. Their document frequencies are used.

    Attributes:
        largest: the largest score, 10.
    """

    largest = _SCALE

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self._frequency: Counter[tuple[str, ...]] = Counter()
        for captions in references:
            self._frequency.update({gram for caption in captions for gram in _grams(caption)})
        self._log_images = math.log(max(len(references), 1))
        self._vectors: dict[tuple[str, ...], _Vector] = {}

    def __call__(self, caption: Words, references: Sequence[Words]) -> float:
        """The score of a caption of an image beside that image's references, one or more."""
        own = self._weigh(tuple(caption))
        return _SCALE * sum(own.similarity(self._vector(reference)) for reference in references) / len(references)

    def mean(self, captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
        """The mean score of captions, one for each image."""
        return float(np.mean([self(caption, own) for caption, own in zip(captions, references, strict=True)]))

    def _vector(self, reference: Words) -> "_Vector":
        """The vector of a reference, cached: training asks for the same ones again."""
        key = tuple(reference)
        if key not in self._vectors:
            self._vectors[key] = self._weigh(key)
        return self._vectors[key]

    def _weigh(self, caption: tuple[str, ...]) -> "_Vector":
        # A word of no reference counts as one of a single image.
        weights = {
            gram: count * (self._log_images - math.log(max(self._frequency[gram], 1)))
            for gram, count in _grams(caption).items()
        }
        return _Vector(len(caption), weights)


class _Vector:
    """The n-grams of a caption, weighted."""

    def __init__(self, length: int, weights: dict[tuple[str, ...], float]) -> None:
        self.length, self.weights = length, weights
        self.norms = [0.0] * _ORDERS
        for gram, weight in weights.items():
            self.norms[len(gram) - 1] += weight**2
        self.norms = [math.sqrt(norm) for norm in self.norms]

    def similarity(self, reference: "_Vector") -> float:
        """The mean over n of the clipped cosines, times the penalty of the lengths."""
        products = [0.0] * _ORDERS
        for gram, weight in self.weights.items():
            other = reference.weights.get(gram, 0.0)
            products[len(gram) - 1] += min(weight, other) * other
        cosines = (
            product / (own * other) if own and other else 0.0
            for product, own, other in zip(products, self.norms, reference.norms, strict=True)
        )
        penalty = math.exp(-((self.length - reference.length) ** 2) / (2 * _SIGMA**2))
        return penalty * sum(cosines) / _ORDERS


def rouge_l(caption: Words, references: Sequence[Words]) -> float:
    """ROUGE-L (Lin 2004) of a caption beside one or more references, 0 to 1, as coco-caption computes it.

    With the longest common subsequence, precision P is its fraction of the caption and recall R that of a reference;
    of several references each takes its maximum. The score is (1 + b^2) P R / (R + b^2 P) with b = 1.2.
    """
    common = [_common(caption, reference) for reference in references]
    precision = max(common, default=0) / len(caption) if caption else 0.0
    recall = max((one / len(own) for one, own in zip(common, references, strict=True) if own), default=0.0)
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _grams(caption: Words) -> Counter[tuple[str, ...]]:
    """How often each n-gram of 1 to 4 words occurs."""
    words = tuple(caption)
    return Counter(words[start : start + n] for n in range(1, _ORDERS + 1) for start in range(len(words) - n + 1))


def _common(one: Words, other: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for position, own in enumerate(other, start=1):
            before, row[position] = row[position], before + 1 if word == own else max(row[position], row[position - 1])
    return row[-1]
