"""The model of music: pieces in, what sounds next out."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.errors import DataError
from recurra.options import Option, Options, option
from recurra.task import Estimator, task, verb
from recurra.task.checks import check_cell
from recurra.tasks.music.learned import MusicLearned

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from recurra.data.music.piece import Music, Piece
    from recurra.models.frames import FrameModel
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.music.results import Surprises

__all__ = ["MusicModel", "MusicReading"]

_log = logging.getLogger("recurra.music")
_DATA = Option(help="MIDI file, piano rolls (.mat, .npz) or a folder of such files", group="data")


def _dropout(default: float, words: str) -> Any:
    return option(default=default, at_least=0, at_most=1, help=words, group="regularization")


class MusicReading(Options):
    """How music is read."""

    steps_per_beat: int = option(
        default=4, at_least=1, at_most=96, help="frames a quarter note; of piano rolls, what a frame is taken for"
    )
    most_unusable: float = option(
        default=0.05,
        at_least=0,
        at_most=1,
        help="fraction of a folder's files that may be unusable; they are set aside",
    )
    part: Literal["train", "validation", "test"] = option(
        default="test", help="of data that state parts, the part that is predicted, evaluated or inspected"
    )


@task("music")
class MusicModel(Estimator["Music", MusicLearned, "FrameModel"]):
    """A recurrent model of music: which notes sound next, frame by frame.

    Data are a MIDI file, a file of piano rolls (`.mat`, `.npz`), a folder of such files, or piano rolls (T, 88) of 0
    and 1. The published file formats state what to train, validate and test on; of other data a fraction of the files
    is held out for validation.

    Example:
        >>> model = MusicModel().fit("chorales/")
        >>> model.evaluate("held-out/").scores["nats/frame"]
        >>> model.save("runs/chorales")
    """

    noun = "model of music"
    Reading = MusicReading
    learned_class = MusicLearned

    output: Literal["nade", "independent"] = option(
        default="nade",
        help="how the notes of a frame depend on each other: by a neural autoregressive estimator, or not at all",
        group="network",
        main=True,
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network", main=True
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", main=True)
    hidden_size: int = option(default=256, at_least=1, help="units of each layer", group="network", main=True)
    nade_size: int = option(
        default=128, at_least=1, help="hidden units of the autoregressive estimator", group="network"
    )
    dropout: float = _dropout(0.3, "dropout of the output of every recurrent layer")
    input_dropout: float = _dropout(0.0, "dropout of the notes that are read")
    recurrent_dropout: float = _dropout(0.0, "dropout of what the recurrent weights read, the same at every step")
    transposition: int = option(
        default=0,
        at_least=0,
        at_most=24,
        help="semitones that each training piece is shifted by at most, up or down, anew in each epoch",
        group="regularization",
        main=True,
    )
    truncation_length: int = option(
        default=100, at_least=1, help="frames back that the gradient of a loss flows at most", group="training"
    )
    batch_size: int = option(
        default=16, at_least=1, help="lanes in which pieces are read in parallel", group="training", main=True
    )
    learning_rate: float = option(default=4e-3)
    weight_decay: float = option(default=0.1)
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        at_most=0.5,
        help="fraction of the pieces held out to choose the best weights by, if the data state no parts; 0: none",
        group="validation",
    )

    def read(self, source: Any, y: Any, reading: MusicReading | None, labelled: bool) -> "Music":
        from recurra.data.music.piece import Music
        from recurra.data.music.read import read_music

        if isinstance(source, Music):
            return source
        reading = reading or MusicReading()
        return read_music(source, reading.steps_per_beat, reading.most_unusable)

    def split(self, data: "Music") -> "tuple[Music, Music | None]":
        from recurra.data.music.read import split_pieces

        return split_pieces(data, self.validation_fraction, self.seed)

    def describe(self, training: "Music", validation: "Music | None") -> str:
        from recurra.data.music.read import duplicates

        pieces = training.part("train")
        repeated = sum(len(group) - 1 for group in duplicates(pieces))
        held = () if validation is None else validation.part("validation")
        again = f", {repeated:,} of which repeat others but for a transposition" if repeated else ""
        frames = sum(piece.length for piece in pieces)
        validated = f"validated on {len(held):,}" if held else "no validation"
        return f"{training.source}: {len(pieces):,} pieces{again}, {frames:,} frames; {validated}"

    def learn(self, training: "Music", validation: "Music | None") -> MusicLearned:
        pieces = training.part("train")
        if not pieces:
            raise DataError(f"{training.source}: its parts are {', '.join(training.parts)}; none is to train on.")
        if validation is not None and not validation.part("validation"):
            raise DataError(
                f"{validation.source}: its parts are {', '.join(validation.parts)}; none is to validate with."
            )
        seen = {piece.shape for piece in pieces}
        known = [piece.name for piece in validation.part("validation") if piece.shape in seen] if validation else []
        if known:
            _log.warning(
                "%d of the pieces to validate with are also in training but for a transposition, such as %s",
                len(known),
                known[0],
            )
        return MusicLearned.of(pieces)

    def network(self, learned: MusicLearned) -> "FrameModel":
        from recurra.tasks.music.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self, fitted: "Fitted[MusicLearned, FrameModel]", training: "Music", validation: "Music | None"
    ) -> "Objective":
        from recurra.tasks.music.training import make_objective

        objective = make_objective(self.get_params(), fitted, training.part("train"), validation)
        if not training.problems:
            return objective
        return replace(objective, files={"problems.txt": "".join(f"{line}\n" for line in training.problems)})

    def standard_steps(self, steps_per_epoch: int) -> int:
        return max(40 * steps_per_epoch, 500)

    @verb("see how surprising each frame is, and what was expected", endings=(".csv",))
    def predictions(self, data: Annotated[Any, _DATA], *, reading: MusicReading | None = None) -> "Surprises":
        """The surprise of each frame of pieces, with what sounds and what was expected.

        A note is expected if it was likelier to sound than not, given all frames before and the notes above it.

        Args:
            data: pieces as for `fit`; of data that state parts, those of `reading.part`.
            reading: how files are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.music.reader import read_pieces
        from recurra.tasks.music.results import Surprises

        pieces, _ = self._pieces(data, reading)
        path = Path(data) if isinstance(data, str | Path) else None
        return Surprises(pieces, read_pieces(self.fitted, pieces), path)

    @verb("test a trained run beside simple baselines, and compare what it samples with the data")
    def evaluate(
        self,
        data: Annotated[Any, _DATA],
        *,
        samples: Annotated[int, Option(help="pieces to sample and compare; 0: none", at_least=0, group="data")] = 8,
        reading: MusicReading | None = None,
    ) -> "Evaluation":
        """How well frames are predicted, beside the frequencies of notes and the repetition of frames before.

        The score is the negative log-likelihood of a frame in nats, the sum over its notes. Sampled pieces are compared
        with the data by their density, keys, pitch classes and intervals, and by what they copy from training.

        Args:
            data: pieces as for `fit`; of data that state parts, those of `reading.part`.
            samples: pieces to sample. 0: none is compared.
            reading: how files are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.music.results import evaluate

        pieces, source = self._pieces(data, reading)
        return evaluate(self.fitted, source, pieces, samples)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Annotated[Any, _DATA],
        *,
        row: Annotated[int, Option(help="piece to show, from 1", at_least=1)] = 1,
        reading: MusicReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect the beginnings of pieces, each read from a state of zeros.

        The loss is the surprise of the frame that follows; the output attributed is its log-probability, attributed to
        the frames before.

        Args:
            data: pieces as for `fit`; of data that state parts, those of `reading.part`.
            row: the piece to show, from 1.
            reading: how files are read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used, or the piece is too short.
            ParameterError: there is no such piece.
        """
        from recurra.tasks.music.results import evaluate
        from recurra.tasks.music.view import view

        pieces, source = self._pieces(data, reading)
        shown = view(self.fitted, source, pieces, row, name)
        return replace(shown, evaluate=lambda: evaluate(self.fitted, source, pieces, 0))

    def _pieces(self, data: Any, reading: MusicReading | None) -> "tuple[tuple[Piece, ...], str]":
        """The pieces that a verb reads, and where they come from."""
        how = reading or self.fitted.reading
        assert isinstance(how, MusicReading)
        music = self.data_for(data, None, how)
        pieces = tuple(piece for piece in music.part(how.part) if piece.length)
        if not pieces:
            parts = ", ".join(music.parts)
            raise DataError(f"{music.source}: it has the parts {parts}; --part {how.part} is none of them.")
        return pieces, music.source if "all" in music.parts else f"{music.source}, {how.part}"
