"""What a drawing model learns from its training data without gradients."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from recurra.errors import DataError
from recurra.task.learned import Learned

# The command line's help imports this module, and does without numpy and torch.
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from recurra.data.drawings.drawings import Drawings
    from recurra.models.baselines.memoryless_points import MemorylessPoints

__all__ = ["DrawingLearned", "EncodedDrawings", "learn"]

_LEAST_DEVIATION = 1e-3
_NAMED = 6  # classes in a message


class EncodedDrawings(NamedTuple):
    """Drawings as a network reads them.

    Attributes:
        strokes: (N, 3) each, in the units of the network.
        classes: the index of each drawing's class.
        texts: the index of each character that each writes (U,) int64. None: texts are not read.
    """

    strokes: "list[np.ndarray]"
    classes: list[int]
    texts: "list[np.ndarray] | None"


@dataclass(frozen=True)
class DrawingLearned(Learned):
    """The values that a drawing model needs beside its weights.

    Attributes:
        scale: the standard deviation of the offsets of training, by which offsets are divided (Ha and Eck 2018).
        smallest_deviation: of a component of the mixture, in the units of the network.
        labels: the classes that are told apart; a single one, perhaps "", if all drawings are alike to the model.
        longest: the points of the longest drawing, N_max of the paper.
        side: the median of the longer sides of the drawings, in the units of the files; of handwriting that of its
            `text_size`.
        baseline: the density without memory, which the model has to beat.
        characters: those of which texts consist; empty: texts are not read.
        pace: characters a point; 0 without texts.
    """

    scale: float
    smallest_deviation: float
    labels: tuple[str, ...]
    longest: int
    side: float
    baseline: "MemorylessPoints"
    characters: str = ""
    pace: float = 0.0

    def encode(self, drawings: "Drawings") -> EncodedDrawings:
        """Drawings as the network reads them.

        Raises:
            DataError: a drawing is of a class that training did not have, or its text is missing or has other
                characters.
        """
        texts = None
        if self.characters:
            words = drawings.texts or ("",) * len(drawings)
            texts = [self.encode_text(text, f"{drawings.source}, drawing {k}") for k, text in enumerate(words, 1)]
        return EncodedDrawings([scaled(one, self.scale) for one in drawings.strokes], self.classes_of(drawings), texts)

    def encode_text(self, text: str, where: str) -> "np.ndarray":
        """The index of each character (U,) int64. Raises DataError, see `encode`."""
        import numpy as np

        if not text:
            raise DataError(f"{where}: it has no text, and this model writes texts.")
        known = {character: index for index, character in enumerate(self.characters)}
        other = next((character for character in text if character not in known), None)
        if other is not None:
            raise DataError(
                f"{where}: the text has the character {other!r}, which training did not have; it had "
                f"{self.characters!r}."
            )
        return np.array([known[character] for character in text], dtype=np.int64)

    def classes_of(self, drawings: "Drawings") -> list[int]:
        """The index of each drawing's class. Raises DataError, see `encode`."""
        if len(self.labels) == 1:
            return [0] * len(drawings)
        known = {label: index for index, label in enumerate(self.labels)}
        other = next((label for label in drawings.labels if label not in known), None)
        if other is not None:
            named = ", ".join(self.labels[:_NAMED]) + ", ..." * (len(self.labels) > _NAMED)
            raise DataError(
                f"{drawings.source}: drawings of class {other!r}, which training did not have; its classes are {named}."
            )
        return [known[label] for label in drawings.labels]

    def to_json(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "smallest_deviation": self.smallest_deviation,
            "labels": list(self.labels),
            "longest": self.longest,
            "side": self.side,
            "characters": self.characters,
            "pace": self.pace,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {"baseline": self.baseline.raw}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.models.baselines.memoryless_points import MemorylessPoints

        baseline = MemorylessPoints(tensors["baseline"], values["smallest_deviation"])
        return cls(**{**values, "labels": tuple(values["labels"])}, baseline=baseline)

    def rows(self) -> dict[str, list[Any]]:
        return {"classes.weight": list(self.labels)}


def learn(training: "Drawings", reads_texts: bool = False, further_texts: "Sequence[str]" = ()) -> DrawingLearned:
    """Learn from training drawings.

    Args:
        training: the drawings.
        reads_texts: whether the network is to read their texts, if they have texts.
        further_texts: of validation, whose characters the network is to know too.

    Raises:
        DataError: all offsets are the same, or only some drawings have a text.
    """
    import numpy as np

    from recurra.data.drawings.lined_drawing import text_size
    from recurra.data.drawings.strokes import lines_of
    from recurra.models.baselines.memoryless_points import fit_memoryless_points

    offsets = np.concatenate([one[:, :2] for one in training.strokes]).astype(np.float64)
    scale = float(offsets.std())
    if not scale > 0:
        raise DataError(f"{training.source}: all points are {offsets[0].tolist()} from the one before; nothing varies.")
    # Whole numbers were rounded to the grid of a file. No density may be narrower than that tells: the standard
    # deviation of a rounding error is the grid / sqrt(12).
    grid = 1 / scale if np.array_equal(offsets, np.round(offsets)) else 0.0
    smallest = max(_LEAST_DEVIATION, grid / math.sqrt(12))
    strokes = [scaled(one, scale) for one in training.strokes]
    lines = [lines_of(one) for one in training.strokes]
    texts = training.texts if reads_texts else ()
    if "" in texts:
        raise DataError(
            f"{training.source}, drawing {texts.index('') + 1}: it has no text, and others have. Leave it out, or do "
            "not read texts (window = 0)."
        )
    sides = (
        [text_size(*pair) for pair in zip(lines, texts, strict=True)]
        if texts
        else [float(np.ptp(np.concatenate(one), axis=0).max()) for one in lines]
    )
    return DrawingLearned(
        scale,
        smallest,
        tuple(sorted(set(training.labels))),
        int(training.lengths.max()),
        float(np.median(sides)),
        fit_memoryless_points(strokes, smallest),
        "".join(sorted(set("".join([*texts, *further_texts])))) if texts else "",
        sum(map(len, texts)) / int(training.lengths.sum()),
    )


def scaled(strokes: "np.ndarray", scale: float) -> "np.ndarray":
    """Strokes (N, 3) whose offsets are divided by a scale."""
    import numpy as np

    return np.column_stack([strokes[:, :2] / np.float32(scale), strokes[:, 2]]).astype(np.float32)
