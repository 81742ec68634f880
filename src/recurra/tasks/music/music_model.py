"""The model of music: pieces in, what sounds next out."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.music.options import MusicReading, MusicSampling, bars_of, check_bars
from recurra.errors import DataError, ParameterError
from recurra.files import prepare_folder
from recurra.options import Option, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell, check_ending
from recurra.tasks.music.learned import MusicLearned
from recurra.text_table import number_of, one_line

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from torch import nn

    from recurra.data.music.piece import Music, Piece
    from recurra.models import RecurrentLanguageModel
    from recurra.models.frames import FrameModel
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.music.events import NoteSurprises
    from recurra.tasks.music.generation import GeneratedMusic
    from recurra.tasks.music.live import EndlessMusic
    from recurra.tasks.music.results import Surprises

__all__ = ["MusicModel"]

_log = logging.getLogger("recurra.music")
_SAMPLING = MusicSampling()
_MUSIC = "music"
_PRIMER = Option(help="file whose beginning comes first", group=_MUSIC)
_PRIMER_BARS = Option(help="bars of the primer; by default all", above=0, group=_MUSIC)
_MELODY = Option(help="file with one voice, below which the others are written; it is not changed", group=_MUSIC)
_INFILL = Option(help="file of which a voice or bars are written anew; its other notes are not changed", group=_MUSIC)
_VOICE = Option(help="track that is written anew, from 1; by default all", at_least=1, group=_MUSIC)
_INFILL_BARS = Option(help="bars that are written anew, as 5-8; by default all", check=check_bars, group=_MUSIC)
_BARS = Option(help="to generate after the primer", above=0, at_most=10_000, group=_MUSIC)
_COUNT = Option(help="pieces to generate", at_least=1, group=_MUSIC)
_ENDLESS = Option(
    help="write what sounds as lines of JSON, each half a second before its time, until Ctrl-C or for --bars",
    group="live",
)
_PORT = Option(help="MIDI port that plays what is endless, by part of its name (needs python-rtmidi)", group="live")
_SEED = Option(
    help="of the first piece, the next has one more; the same seed gives the same piece", at_least=0, group=_MUSIC
)
_TONE = Option(help="of the sound", group="output")
_SOUND_FONT = Option(help="SF2 or SF3 file whose instruments play the sound", group="output")
_DATA = Option(help="MIDI file, ABC tunes, MusicXML, piano rolls (.mat, .npz) or a folder of such files", group="data")


_USUAL_BARS = 16
_FEW_FRAMES, _FRAMES_READ = 14_000, 800_000  # of JSB chorales, read in a standard training


def _dropout(default: float | None, words: str, search: Range | None = None) -> Any:
    return option(default=default, at_least=0, at_most=1, help=words, group="regularization", search=search)


@task("music")
class MusicModel(ArchitectureOptions, Estimator["Music", MusicLearned, "FrameModel | RecurrentLanguageModel"]):
    """A recurrent model of music: which notes sound next, frame by frame or event by event.

    Data are a MIDI file, ABC tunes, a score in MusicXML, a file of piano rolls (`.mat`, `.npz`), a folder of such
    files, or piano rolls (T, 88) of 0 and 1. The published file formats state what to train, validate and test on; of
    other data a fraction of the pieces is held out for validation.

    Example:
        >>> model = MusicModel().fit("chorales/")
        >>> model.evaluate("held-out/").scores["nats/frame"]
        >>> model.save("runs/chorales")
    """

    noun = "model of music"
    Reading = MusicReading
    learned_class = MusicLearned

    output: Literal["nade", "independent", "events"] = option(
        default="nade",
        help="frames whose notes depend on each other by a neural autoregressive estimator, or not at all; or events, "
        "which tell voices, velocities and repeated notes",
        group="network",
        main=True,
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network", main=True
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", main=True)
    hidden_size: int = option(
        default=512, at_least=1, help="units of each layer", group="network", main=True, search=Range(128, 512, step=64)
    )
    nade_size: int = option(
        default=256, at_least=1, help="hidden units of the autoregressive estimator", group="network"
    )
    dropout: float | None = _dropout(
        None,
        "dropout of the output of every recurrent layer; by default 0.5 for fewer than 200,000 frames of training, or "
        "100,000 notes of a model of events, else 0.3",
        search=Range(0, 0.6),
    )
    input_dropout: float = _dropout(0.1, "dropout of the notes that are read", search=Range(0, 0.3))
    recurrent_dropout: float = _dropout(0.0, "dropout of what the recurrent weights read, the same at every step")
    transposition: int = option(
        default=0,
        at_least=0,
        at_most=24,
        help="semitones that each training piece is shifted by at most, up or down, anew in each epoch",
        group="regularization",
        main=True,
    )
    time_stretch: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="each training piece is also read slower and faster by this fraction: 1 in half and double time; 0: not",
        group="regularization",
    )
    truncation_length: int = option(
        default=100, at_least=1, help="frames back that the gradient of a loss flows at most", group="training"
    )
    batch_size: int = option(
        default=8,
        at_least=1,
        help="lanes in which pieces are read in parallel",
        group="training",
        main=True,
        search=(4, 8, 16),
    )
    learning_rate: float = option(default=8e-3)
    weight_decay: float = option(default=0.3, search=Range(0, 0.6))
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
        music = read_music(source, reading.steps_per_beat, reading.most_unusable)
        # Frames do not tell tracks apart.
        return music if self.output == "events" else music.merged()

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
        return f"{training.source}: {number_of(len(pieces), 'piece')}{again}, {number_of(frames, 'frame')}; {validated}"

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
        return MusicLearned.of(pieces, self.output == "events")

    def network(self, learned: MusicLearned) -> "FrameModel | RecurrentLanguageModel":
        from recurra.tasks.music.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self,
        fitted: "Fitted[MusicLearned, FrameModel | RecurrentLanguageModel]",
        training: "Music",
        validation: "Music | None",
    ) -> "Objective":
        from recurra.tasks.music.training import make_objective

        return make_objective(self.get_params(), fitted, training, validation)

    def standard_steps(self, steps_per_epoch: int) -> int:
        a_step = self.batch_size * self.truncation_length
        # Of four times as many frames each is read 0.57 times as often.
        return max(round(_FRAMES_READ * (steps_per_epoch * a_step / _FEW_FRAMES) ** 0.6 / a_step), 100)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: items are frames or events, and the result says what is likely to come next.

        Items of a model of frames are `{"frames": [[60, 64, 67], ...]}`, the MIDI pitches that sound in each. The
        result has the `surprise` of each frame in nats, given all before; the pitches that are `expected` in the next
        frame, those likelier to sound than not given the ones above them; and the `probabilities` of its 88 notes from
        the lowest, each given the expected ones above it. Items of a model of events are `{"events": ["bar", "position
        0", ...]}`, and the result has the `surprise` of each, and the likeliest that may be `next`, with their
        probabilities.

        With a `"seed"`, and perhaps a `"temperature"`, the result also has what is `sampled` to come next. An item may
        have no frames or events.
        """
        from recurra.tasks.music.live import open_stream

        self.refuse_look_ahead(look_ahead)
        return open_stream(self.fitted, weights)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`: log-odds of the notes of the next frame, or log probabilities of events.

        Where the notes of a frame depend on each other, the outputs are the biases of the estimator: 88 of the notes,
        then those of its hidden units. Its weights are in a file beside, see `export_files`.
        """
        from recurra.tasks.music.training import export_network

        return export_network(self.fitted)

    def export_files(self) -> dict[str, bytes]:
        """See `Estimator.export_files`: of the estimator W and V, (88, hidden units) each, as little-endian float32."""
        from recurra.tasks.music.training import export_files

        return export_files(self.fitted)

    @verb("see how surprising each frame or note is, and what was expected", endings=(".csv", ".html"))
    def predictions(
        self, data: Annotated[Any, _DATA], *, reading: MusicReading | None = None
    ) -> "Surprises | NoteSurprises":
        """The surprise of each frame of pieces, or of each note for a model of events, and what was expected.

        In a frame a note is expected if it was likelier to sound than not, given all frames before and the notes above
        it. Of events the likeliest pitch is expected. With `--out piece.html` a page plays the piece, and shows the
        surprise of each note.

        Args:
            data: pieces as for `fit`; of data that state parts, those of `reading.part`.
            reading: how files are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.music.events import NoteSurprises, events_of
        from recurra.tasks.music.results import Surprises
        from recurra.tasks.music.training import frames_of

        pieces, _ = self._pieces(data, reading)
        path = Path(data) if isinstance(data, str | Path) else None
        if (model := events_of(self.fitted)) is not None:
            return NoteSurprises(model, pieces, path)
        return Surprises(frames_of(self.fitted), pieces, path)

    @verb(
        "write music: what follows an opening, the voices below a melody, or a part of a piece anew",
        endings=(".mid", ".midi"),
    )
    def generation(
        self,
        *,
        primer: Annotated[str | None, _PRIMER] = None,
        primer_bars: Annotated[float | None, _PRIMER_BARS] = None,
        melody: Annotated[str | None, _MELODY] = None,
        infill: Annotated[str | None, _INFILL] = None,
        voice: Annotated[int | None, _VOICE] = None,
        infill_bars: Annotated[str | None, _INFILL_BARS] = None,
        bars: Annotated[float | None, _BARS] = None,
        count: Annotated[int, _COUNT] = 1,
        seed: Annotated[int, _SEED] = 0,
        sampling: MusicSampling = _SAMPLING,
        wav: Annotated[
            str | None, Option(help="also the sound, as a WAV file", check=check_ending(".wav"), group="output")
        ] = None,
        tone: Annotated[Literal["plucked", "sine", "saw"], _TONE] = "plucked",
        sound_font: Annotated[str | None, _SOUND_FONT] = None,
        picture: Annotated[
            str | None,
            Option(help="also a picture of the piano roll, as a PNG file", check=check_ending(".png"), group="output"),
        ] = None,
        page: Annotated[
            str | None,
            Option(
                help="also an HTML page that plays it and shows the surprise of each note",
                check=check_ending(".html"),
                group="output",
            ),
        ] = None,
        endless: Annotated[bool, _ENDLESS] = False,
        port: Annotated[str | None, _PORT] = None,
    ) -> "GeneratedMusic | EndlessMusic":
        """Write music: 16 bars, what follows an opening, the voices below a melody, or a part of a piece anew.

        The notes of the primer, of the melody and of what is not written anew stay as they are, on the model's grid of
        frames. The result is a MIDI file; of several pieces each has its number in its name.

        Args:
            primer: the path of a file whose beginning comes first. None: silence.
            primer_bars: bars of the primer. None: all of it.
            melody: the path of a file with one voice, which becomes the highest. None: there is none.
            infill: the path of a file of which `voice` or `infill_bars`, or that voice in those bars, are written anew.
                None: there is none.
            voice: the track that is written anew, from 1; for a model of events. None: all.
            infill_bars: the bars that are written anew, such as "5-8". None: all.
            bars: to generate after the primer, 16 by default; with a melody the piece is as long as it.
            count: pieces to generate.
            seed: of the first piece; the next has one more. The same seed gives the same piece, whatever the count.
            sampling: how notes are sampled.
            wav: the path of the sound. None: none is written.
            tone: of the sound, if no sound font plays it.
            sound_font: the path of a sound font, which plays the sound. None: a small synthesiser does.
            picture: the path of the picture. None: none is written.
            page: the path of the page. None: none is written.
            endless: whether the music is sampled while it sounds, in time, as lines of JSON, for `bars` or without end;
                the primer is read and not played.
            port: part of the name of the MIDI port that plays it too. None: there is none.

        Raises:
            DataError: the primer, the melody or the piece to infill cannot be read, or its file has several pieces.
            ParameterError: arguments exclude each other; or a piece does not have the voice or the bars; or a model of
                frames has neither voices nor `top_k` and `top_p`.
            RunError: the sound, the picture or the page cannot be written.
            MissingExtraError: a sound font is named, and the extra `soundfont` is not installed.
        """
        from recurra.data.music.sound_font import check_sound_font
        from recurra.tasks.music.generation import Gap, GeneratedMusic, accompany, check_generation, continue_piece
        from recurra.tasks.music.generation import infill as infill_piece
        from recurra.tasks.music.live import play

        if port is not None and not endless:
            raise ParameterError("port", "None without --endless", port)
        if sound_font is not None:
            if wav is None:
                raise ParameterError("sound_font", "None without a sound (--wav)", sound_font)
            check_sound_font(sound_font)
        seeds = range(seed, seed + count)
        if primer is None and primer_bars is not None:
            raise ParameterError("primer_bars", "None without a primer", primer_bars)
        if endless:
            unused = {"melody": melody, "infill": infill, "wav": wav, "picture": picture, "page": page}
            for name, value in {**unused, "count": None if count == 1 else count}.items():
                if value is not None:
                    raise ParameterError(name, "none with --endless", value)
        check_generation(
            self.output == "events",
            count,
            sampling,
            {"melody": melody, "infill": infill, "primer": primer, "bars": bars},
            {"voice": voice, "infill_bars": infill_bars},
        )
        named = next((one for one in (melody, infill, primer) if one is not None), None)
        piece = None if named is None else self._piece(named)
        gap = Gap(voice, None if infill_bars is None else bars_of(infill_bars))
        if piece is not None and infill is not None:
            gap.check(piece)
        # All arguments are accepted: nothing is made before, and no long work is lost to a folder after.
        for path in (wav, picture, page):
            if path is not None:
                prepare_folder(Path(path).parent)
        if piece is not None and melody is not None:
            made = accompany(self.fitted, piece, seeds, sampling)
        elif piece is not None and infill is not None:
            made = infill_piece(self.fitted, piece, gap, seeds, sampling)
        else:
            opening, grid = piece, self.fitted.learned.grid if piece is None else piece.grid
            if opening is not None and primer_bars is not None:
                opening = opening.beginning(max(round(primer_bars * grid.steps_per_bar), 1))
            if endless:
                frames = None if bars is None else max(round(bars * grid.steps_per_bar), 1)
                return play(self.fitted, opening, frames, seed, sampling, port)
            length = max(round((bars or _USUAL_BARS) * grid.steps_per_bar), 1)
            made = continue_piece(self.fitted, opening, length, seeds, sampling)
        return GeneratedMusic(self.fitted, made, tone, wav, picture, page, sound_font)

    def generate(self, **arguments: Any) -> "list[Piece]":
        """The pieces that `generation` writes; it documents the arguments. Endless music has none: see its `text`."""
        from recurra.tasks.music.live import EndlessMusic

        made = self.generation(**arguments)
        if isinstance(made, EndlessMusic):
            raise ParameterError("endless", "False; the text of `generation` is music without end", True)
        return [one.piece for one in made.pieces]

    @verb("test a trained run beside simple baselines, and compare what it samples with the data")
    def evaluate(
        self,
        data: Annotated[Any, _DATA],
        *,
        samples: Annotated[int, Option(help="pieces to sample and compare; 0: none", at_least=0, group="data")] = 8,
        reading: MusicReading | None = None,
    ) -> "Evaluation":
        """How well frames are predicted, beside the frequencies of notes and the repetition of frames before.

        The score is the negative log-likelihood in nats of a frame, the sum over its notes; or of a note, the sum over
        its events, beside n-grams of events. Sampled pieces are compared with the data by their density, keys, pitch
        classes and intervals, and by what they copy from training.

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

    def _piece(self, path: str) -> "Piece":
        """The piece of a file that has one. Raises DataError."""
        pieces, source = self._pieces(path, None)
        piece, *others = pieces
        if others:
            named = ", ".join(one_line(piece.name) for piece in pieces[:3]) + (", ..." if len(pieces) > 3 else "")
            raise DataError(f"{source}: it has {len(pieces):,} pieces ({named}), expected a file with one.")
        return piece

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
