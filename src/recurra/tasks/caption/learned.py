"""What a captioner learns from its training images without gradients."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from recurra.data.text.vocabulary import Vocabulary
from recurra.task.learned import Learned

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.models.image import ReadImages

__all__ = ["CaptionLearned"]

Words = tuple[str, ...]

_AT_ONCE = 256  # images whose nearest one is looked for


@dataclass(frozen=True)
class CaptionLearned(Learned):
    """The vocabulary; and the training images with their captions, for the baselines and to tell what is copied.

    Attributes:
        vocabulary: the words, after `special`.
        names: of the training images (N).
        captions: of each of them, in words.
        descriptors: a vector of each (N, D), float32; see `recurra.models.image.ImageReader.descriptors`.
    """

    special: ClassVar[tuple[str, ...]] = ("<pad>", "<unk>", "<s>", "</s>")
    padding: ClassVar[int] = 0
    unknown: ClassVar[int] = 1
    begin: ClassVar[int] = 2
    end: ClassVar[int] = 3

    vocabulary: Vocabulary
    names: tuple[str, ...]
    captions: tuple[tuple[Words, ...], ...]
    descriptors: "np.ndarray"

    @classmethod
    def of(cls, images: "ReadImages", min_count: int) -> Self:
        """Learn from training images.

        Args:
            images: with their captions.
            min_count: words that occur less often in them are unknown.
        """
        words = (word for captions in images.words for caption in captions for word in caption)
        vocabulary = Vocabulary.count(words, cls.special, cls.special[cls.unknown], min_count)
        return cls(vocabulary, tuple(image.name for image in images.images), images.words, images.descriptors)

    @cached_property
    def most_frequent(self) -> Words:
        """The caption that most training images have; of several the first."""
        return Counter(caption for captions in self.captions for caption in captions).most_common(1)[0][0]

    @cached_property
    def copies(self) -> dict[Words, str]:
        """The first training image that has a caption, by the caption."""
        pairs = zip(self.names, self.captions, strict=True)
        return {caption: name for name, captions in reversed(list(pairs)) for caption in captions}

    def nearest(self, descriptors: "np.ndarray") -> list[int]:
        """The training image nearest to each image, by Euclidean distance.

        Args:
            descriptors: (M, D).
        """
        import numpy as np

        squares, rows = np.square(self.descriptors).sum(1), []
        for start in range(0, len(descriptors), _AT_ONCE):
            some = descriptors[start : start + _AT_ONCE]
            rows += (squares - 2 * some @ self.descriptors.T).argmin(1).tolist()
        return rows

    def known(self, captions: Sequence[Words]) -> float:
        """The fraction of captions that are those of a training image, word for word."""
        return sum(caption in self.copies for caption in captions) / max(len(captions), 1)

    def to_json(self) -> dict[str, Any]:
        return {
            "vocabulary": self.vocabulary.to_json(),
            "names": list(self.names),
            "captions": [[" ".join(caption) for caption in captions] for captions in self.captions],
        }

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        return {"descriptors": torch.from_numpy(self.descriptors)}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        captions = tuple(tuple(tuple(one.split(" ")) for one in own) for own in values["captions"])
        vocabulary = Vocabulary.from_json(values["vocabulary"])
        return cls(vocabulary, tuple(values["names"]), captions, tensors["descriptors"].numpy())

    def rows(self) -> dict[str, list[Any]]:
        words = list(self.vocabulary.symbols)
        return {"embedding.weight": words, "readout.weight": words, "readout.bias": words}
