"""What a model of music learns from its training pieces without gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.task.learned import Learned

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.data.music.events import EventVocabulary
    from recurra.data.music.piece import Grid, Piece
    from recurra.models.baselines.frame_table import FrameTable

__all__ = ["BASELINES", "LAST_BAR", "NGRAM", "MusicLearned"]

BASELINES = ("note frequencies", "last frame", "last frame and bar")
"""The baselines that a run stores; two more are counted in its pieces."""
LAST_BAR, NGRAM = "last bar", "n-gram of frames"


@dataclass(frozen=True)
class MusicLearned(Learned):
    """Baselines, the pieces of training, and their usual grid.

    Attributes:
        tables: of each of `BASELINES`; none for a model of events.
        pieces: what the model was trained on, to tell what it copies.
        grid: of most pieces of training, for music that is generated.
        events: the vocabulary of a model of events; None for a model of frames.
    """

    tables: "tuple[FrameTable, ...]"
    pieces: "tuple[Piece, ...]"
    grid: "Grid"
    events: "EventVocabulary | None" = None

    @classmethod
    def of(cls, pieces: "Sequence[Piece]", events: bool = False) -> Self:
        """Learn from pieces, at least one, for a model of frames or of events."""
        from collections import Counter

        from recurra.data.music.events import EventVocabulary
        from recurra.models.baselines.frame_table import FrameTable

        grid = Counter(piece.grid for piece in pieces).most_common(1)[0][0]
        if events:
            return cls((), tuple(pieces), grid, EventVocabulary.of(pieces))
        rolls = [piece.roll for piece in pieces]
        lags = [_lags(piece.grid) for piece in pieces]
        tables = tuple(FrameTable.fit(rolls, [own[name] for own in lags]) for name in BASELINES)
        return cls(tables, tuple(pieces), grid)

    @property
    def vocabulary(self) -> "EventVocabulary":
        """The vocabulary of a model of events."""
        assert self.events is not None
        return self.events

    @property
    def frequencies(self) -> "np.ndarray":
        """How often each note sounds (N,), in (0, 1)."""
        return self.tables[0].probabilities[0]

    def surprise_of_baselines(self, pieces: "Sequence[Piece]") -> "dict[str, list[np.ndarray]]":
        """The surprise of each frame of pieces (T,) in nats, by baseline."""
        from recurra.models.baselines.frame_ngram import frame_ngram_surprise
        from recurra.models.baselines.frame_table import FrameTable

        rolls, lags = [piece.roll for piece in pieces], [_lags(piece.grid) for piece in pieces]
        training = [piece.roll for piece in self.pieces]
        surprises = {
            name: [table.surprise(roll, own[name]) for roll, own in zip(rolls, lags, strict=True)]
            for name, table in zip(BASELINES, self.tables, strict=True)
        }
        repeating = FrameTable.fit(training, [(piece.grid.steps_per_bar,) for piece in self.pieces])
        bars = [piece.grid.steps_per_bar for piece in pieces]
        surprises[LAST_BAR] = [repeating.surprise(roll, (bar,)) for roll, bar in zip(rolls, bars, strict=True)]
        surprises[NGRAM] = frame_ngram_surprise(training, rolls, surprises[BASELINES[-1]])
        return surprises

    def to_json(self) -> dict[str, Any]:
        from dataclasses import astuple

        values: dict[str, Any] = {
            "grid": list(astuple(self.grid)),
            "pieces": [
                {
                    "name": piece.name,
                    "notes": len(piece.notes),
                    "length": piece.length,
                    "grid": list(astuple(piece.grid)),
                    "programs": None if piece.tracks is None else list(piece.tracks.programs),
                    "tempi": [list(one) for one in piece.tempi],
                }
                for piece in self.pieces
            ],
        }
        return values if self.events is None else {**values, "events": self.events.to_json()}

    def tensors(self) -> "dict[str, Tensor]":
        import numpy as np
        import torch

        arrays = {
            f"table.{name}": torch.from_numpy(one.probabilities)
            for name, one in zip(BASELINES, self.tables, strict=False)
        }
        columns = {"notes": np.concatenate([piece.notes for piece in self.pieces])}
        if played := [piece.tracks for piece in self.pieces if piece.tracks is not None]:
            columns["tracks"] = np.concatenate([np.stack([one.track, one.velocity], axis=1) for one in played])
        return {**arrays, **{name: torch.from_numpy(one).to(torch.int32) for name, one in columns.items()}}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        import numpy as np

        from recurra.data.music.events import EventVocabulary
        from recurra.data.music.performance import Tracks
        from recurra.data.music.piece import Grid, Piece
        from recurra.models.baselines.frame_table import FrameTable

        notes = tensors["notes"].numpy().astype(np.int64)
        played = tensors["tracks"].numpy().astype(np.int64) if "tracks" in tensors else notes[:0, :2]
        pieces = []
        for one in values["pieces"]:
            count, tracks = one["notes"], None
            if (programs := one.get("programs")) is not None:
                tracks = Tracks(tuple(programs), played[:count, 0], played[:count, 1])
                played = played[count:]
            tempi = tuple((frame, tempo) for frame, tempo in one.get("tempi", ()))
            pieces.append(Piece(one["name"], notes[:count], one["length"], Grid(*one["grid"]), tracks, tempi))
            notes = notes[count:]
        tables = tuple(FrameTable(tensors[f"table.{name}"].numpy()) for name in BASELINES if f"table.{name}" in tensors)
        events = EventVocabulary.from_json(values["events"]) if "events" in values else None
        return cls(tables, tuple(pieces), Grid(*values["grid"]), events)


def _lags(grid: "Grid") -> dict[str, tuple[int, ...]]:
    """The frames back that each baseline looks at."""
    bar = grid.steps_per_bar
    return dict(zip(BASELINES, ((), (1,), (1, bar) if bar > 1 else (1, 2)), strict=True))
