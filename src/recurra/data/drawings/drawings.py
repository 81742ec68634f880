"""The drawings that a model is trained, validated and tested on."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recurra.errors import DataError

__all__ = ["PARTS", "Drawings"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Drawings:
    """Drawings with their classes.

    Attributes:
        source: where they come from.
        strokes: of each drawing (N, 3), N at least 1; see `recurra.data.drawings.strokes`.
        labels: the class of each.
        parts: of a file that divides its drawings, the part of each: "train", "validation" or "test"; else empty.
        files: the files and folders that they were read from; empty: arrays.
        texts: what each writes, "" if its file does not say; empty: no drawing has a text.
    """

    source: str
    strokes: tuple[np.ndarray, ...]
    labels: tuple[str, ...]
    parts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.strokes)

    @property
    def lengths(self) -> np.ndarray:
        """The number of points of each (count,), the origin left out."""
        return np.array([len(one) for one in self.strokes], dtype=np.int64)

    def digest(self) -> str:
        """A checksum that tells these drawings from others."""
        words = (self.labels, self.parts, self.texts) if self.texts else (self.labels, self.parts)
        digest = hashlib.sha256(repr(words).encode("utf-8", "surrogatepass"))
        for one in self.strokes:
            digest.update(len(one).to_bytes(4, "little"))
            digest.update(np.ascontiguousarray(one, dtype="<f4").tobytes())
        return digest.hexdigest()

    def take(self, rows: Iterable[int]) -> "Drawings":
        """Some of the drawings."""
        rows = list(rows)
        strokes, labels = tuple(self.strokes[row] for row in rows), tuple(self.labels[row] for row in rows)
        parts = tuple(self.parts[row] for row in rows) if self.parts else ()
        texts = tuple(self.texts[row] for row in rows) if self.texts else ()
        return replace(self, strokes=strokes, labels=labels, parts=parts, texts=texts)

    def part(self, name: str) -> "Drawings":
        """The drawings of a part of the file. Raises DataError if there are none."""
        rows = [row for row, part in enumerate(self.parts) if part == name]
        if not rows:
            there = ", ".join(part for part in PARTS if part in self.parts) or "a single part"
            raise DataError(f"{self.source}: no drawings for {name}; there is {there}.")
        return replace(self.take(rows), parts=())

    def used_for(self, part: str) -> "Drawings":
        """The drawings of a part if they are divided, else all. Raises DataError, see `part`."""
        return self.part(part) if self.parts else self

    def at_most(self, points: int) -> "tuple[Drawings, int]":
        """The drawings of at most so many points, and how many others there are. Raises DataError if none is left."""
        rows = np.flatnonzero(self.lengths <= points).tolist()
        if not rows:
            shortest = int(self.lengths.min())
            raise DataError(
                f"{self.source}: every drawing has more than {points} points, the shortest {shortest}; raise "
                "max_points, or simplify more (epsilon)."
            )
        return self.take(rows), len(self) - len(rows)

    def with_texts(self) -> "tuple[Drawings, int]":
        """The drawings that have a text, if those are at least half of them, and how many others there are.

        If they are fewer, and perhaps none, all drawings.
        """
        rows = [row for row, text in enumerate(self.texts) if text]
        if 2 * len(rows) < len(self) or len(rows) == len(self):
            return self, 0
        return self.take(rows), len(self) - len(rows)

    @staticmethod
    def joined(several: "Sequence[Drawings]", source: str) -> "Drawings":
        """The drawings of several files together. Raises DataError if only some of the files are divided."""
        divided = [one for one in several if one.parts]
        if divided and len(divided) < len(several):
            other = next(one for one in several if not one.parts)
            raise DataError(
                f"{divided[0].source}: has parts to train and to test on, and {other.source} has none; read either "
                "kind alone."
            )
        return Drawings(
            source,
            tuple(strokes for one in several for strokes in one.strokes),
            tuple(label for one in several for label in one.labels),
            tuple(part for one in several for part in one.parts),
            texts=_texts([text for one in several for text in one.texts or ("",) * len(one)]),
        )


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts; none if all are empty."""
    return tuple(texts) if any(texts) else ()
