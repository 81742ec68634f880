"""The drawing model: its options and verbs."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.errors import DataError, ParameterError
from recurra.options import Option, Options, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell
from recurra.tasks.draw.learned import DrawingLearned, learn

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    import numpy as np

    from recurra.data.drawings.drawings import Drawings
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.draw.generation import GeneratedDrawings
    from recurra.tasks.draw.results import SurpriseOfDrawings
    from recurra.tasks.draw.training import DrawingNetwork

__all__ = ["DrawingModel", "DrawingReading"]

_log = logging.getLogger("recurra.draw")

_DATA = Option(help="files or folders of drawings", group="data")
_COUNT = Option(help="drawings to sample", at_least=1, group="drawings", main=True)
_TEMPERATURE = Option(
    help="below 1 likelier drawings, above 1 wilder ones; 1: as likely as the model says", above=0, group="drawings",
    main=True,
)  # fmt: skip
_SAMPLED_TEMPERATURE = Option(
    help="below 1 likelier drawings, above 1 wilder ones; 1: as likely as the model says; by default 0.4", above=0,
    group="drawings", main=True,
)  # fmt: skip
_BIAS = Option(
    help="in place of the temperature, the bias of Graves (2013): 0: as likely as the model says; 1: neat handwriting",
    at_least=0, group="drawings",
)  # fmt: skip
_TEXT = Option(help="what to write, with a model of handwriting", group="drawings", main=True)
_START_TEXT = Option(help="what the start writes, if its file does not say; the text follows it", group="drawings")
_LABEL = Option(help="the class, of a model of several", group="drawings", main=True)
_START = Option(help="file of a drawing that was begun, which each drawing completes", group="drawings", main=True)
_START_SIZE = Option(
    help="longer side of the start as a fraction of a usual training drawing's, or height of handwriting; by default "
    "as in its file", above=0,
    group="drawings",
)  # fmt: skip
_START_EPSILON = Option(
    help="simplification of the start, in 255ths of a usual drawing's longer side; 0: none",
    at_least=0,
    group="drawings",
)
_MAX_POINTS = Option(help="points of a drawing at most; by default those of training's longest", at_least=1,
                     group="drawings")  # fmt: skip
_SECONDS = Option(help="seconds in which an SVG draws itself; 0: it does not", at_least=0, group="drawings")
_SEED = Option(help="the same seed gives the same drawings", at_least=0, group="drawings")
_ROWS = Option(help="drawings of the data, from 1", at_least=1, group="drawings", main=True)
_TEMPERATURES = Option(help="of the drawings from left to right", above=0, group="drawings", main=True)
_PART = Option(help="which part of a file that is divided; by default the test part", group="data")
_Part = Literal["train", "validation", "test"]


class DrawingReading(Options):
    """How drawings are read."""

    epsilon: float | None = option(
        default=None,
        at_least=0,
        help="how far points may lie from the lines that replace them, in 255ths of a drawing's longer side, or of the "
        "height of handwriting with its text; by default 2 "
        "for raw drawings, SVG, InkML and tables, and 0 for files that are simplified already",
    )
    max_points: int = option(default=250, at_least=1, help="drawings with more points are left out")


@task("draw")
class DrawingModel(ArchitectureOptions, Estimator["Drawings", DrawingLearned, "DrawingNetwork"]):
    """A recurrent model of drawings: where the next point is and what the pen does, given all points before.

    Data are files of drawings (.npz of sketch-rnn, .ndjson of Quick, Draw!, .svg, .inkml, tables of points), folders of
    them, whose subfolders are classes, or a list of strokes (N, 3), with classes as `y`. Handwriting is drawings with
    the text that they write; in a list it is pairs of strokes and text.

    Example:
        >>> model = DrawingModel(hidden_size=512).fit("sheep.npz")
        >>> model.evaluate("sheep.npz").scores["nats/point"]
        >>> model.save("runs/sheep")
    """

    noun = "drawing model"
    Reading = DrawingReading
    learned_class = DrawingLearned
    several_sources = True

    cell: str = option(
        default="layer_norm_lstm",
        check=check_cell,
        help="name of a cell, or module:Class of your own",
        group="network",
        main=True,
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network")
    hidden_size: int = option(
        default=512,
        at_least=1,
        help="units of each layer",
        group="network",
        main=True,
        search=Range(256, 768, step=128),
    )
    mixtures: int = option(
        default=20, at_least=1, help="components of the density of the next point", group="network", main=True
    )
    class_size: int = option(
        default=16, at_least=1, help="features of a class, if the data have several", group="network"
    )
    window: int = option(
        default=10,
        at_least=0,
        help="components of the attention window over the characters, if drawings come with the text that they write; "
        "0: texts are not read",
        group="network",
    )
    latent_size: int = option(
        default=0,
        at_least=0,
        help="numbers of a code that an encoder reads from the whole drawing (a variational autoencoder; published: "
        "128); 0: no encoder",
        group="codes",
        main=True,
    )
    encoder_size: int = option(
        default=256, at_least=1, help="units of each direction of the encoder, with latent_size", group="codes"
    )
    kl_weight: float = option(
        default=0.5, at_least=0, help="weight of the divergence of the codes in the loss", group="codes"
    )
    kl_floor: float = option(
        default=0.2, at_least=0, help="divergence of a number of a code, in nats, below which it costs nothing",
        group="codes",
    )  # fmt: skip
    kl_decay: float = option(
        default=0.999,
        above=0,
        at_most=1,
        help="decay at each step of the part of kl_weight that is still missing, 0.99 at first",
        group="codes",
    )
    dropout: float = option(
        default=0.0, at_least=0, at_most=1, help="dropout of the output of every recurrent layer",
        group="regularization",
    )  # fmt: skip
    recurrent_dropout: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="dropout of what the recurrent weights read, the same at every step",
        group="regularization",
        search=Range(0, 0.3),
    )
    stretch: float = option(
        default=0.15,
        at_least=0,
        below=1,
        help="how much wider or narrower, and taller or shorter, a drawing may be at each reading",
        group="regularization",
    )
    merging: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="probability that a point within a line is left out at a reading",
        group="regularization",
    )
    batch_size: int = option(
        default=100, at_least=1, help="drawings a step", group="training", main=True, search=(50, 100, 200)
    )
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        at_most=0.5,
        help="fraction of each class's drawings held out to choose the best weights by, if there are no validation "
        "data; 0: none",
        group="validation",
    )

    def read(self, source: Any, y: Any, reading: DrawingReading, labelled: bool) -> "Drawings":
        from recurra.data.drawings.drawings import Drawings
        from recurra.data.drawings.read import read_drawings

        if isinstance(source, Drawings):
            return source
        if not isinstance(source, str | Path | Iterable):
            raise ParameterError("data", "a path, several, or a list of strokes (N, 3)", type(source).__name__)
        sources = [source] if isinstance(source, str | Path) else list(source)
        if sources and all(isinstance(one, str | Path) for one in sources):
            if y is not None:
                raise ParameterError("y", "None with files, which say their classes", type(y).__name__)
            drawings = read_drawings(sources, reading.epsilon, reading.max_points)
            return self._with_texts(drawings) if labelled and self.window else drawings
        return _of_arrays(sources, y)

    def split(self, data: "Drawings") -> "tuple[Drawings, Drawings | None]":
        from recurra.data.labelled.items import split_rows

        if "validation" in data.parts:
            return data.used_for("train"), data.part("validation")
        data = data.used_for("train")
        rest, held = split_rows([(label,) for label in data.labels], self.validation_fraction, self.seed)
        return (data.take(rest), data.take(held)) if held else (data, None)

    def describe(self, training: "Drawings", validation: "Drawings | None") -> str:
        used = training.used_for("train")
        labels = sorted(set(used.labels))
        classes = f", {len(labels):,} classes" if len(labels) > 1 else ""
        points = int(used.lengths.sum())
        validated = "no validation" if validation is None else f"validated on {len(validation):,}"
        return f"{len(used):,} drawings of {used.source}{classes}, {points:,} points; {validated}"

    def learn(self, training: "Drawings", validation: "Drawings | None") -> DrawingLearned:
        held = None if validation is None else validation.used_for("validation")
        learned = learn(training.used_for("train"), self.window > 0, () if held is None else held.texts)
        if held is not None:
            learned.encode(held)
        return learned

    def check(self) -> None:
        if self.architecture and self.latent_size:
            expected = "0 with an architecture, whose first state is not computed of a code"
            raise ParameterError("latent_size", expected, self.latent_size)
        changed = [name for name in ("encoder_size", "kl_weight", "kl_floor", "kl_decay") if name in self.changed()]
        if changed and not self.latent_size:
            expected = "the default without codes"
            raise ParameterError(changed[0], expected, self.changed()[changed[0]], "Set latent_size to have codes.")

    def network(self, learned: DrawingLearned) -> "DrawingNetwork":
        from recurra.tasks.draw.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self, fitted: "Fitted[DrawingLearned, DrawingNetwork]", training: "Drawings", validation: "Drawings | None"
    ) -> "Objective":
        from recurra.tasks.draw.training import make_objective

        held = None if validation is None else validation.used_for("validation")
        return make_objective(self, fitted, training.used_for("train"), held)

    def standard_steps(self, steps_per_epoch: int) -> int:
        return max(20 * steps_per_epoch, 1000)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is the next points of a drawing, and the result the density of the next.

        Items are `{"points": [[dx, dy, pen], ...]}` in the units of the training files, with the `label` of a model of
        several classes; pen is 1 if the pen is lifted after the point, else 0. The item that begins a drawing may have
        no points. The result has `weights`, `means`, `deviations` and `correlations` of the components, and the
        probabilities of the `pen`, as `PenMixture` has them at a temperature of 1.
        """
        from recurra.tasks.draw.live import open_stream

        self.refuse_look_ahead(look_ahead)
        return open_stream(self.fitted, weights)

    @property
    def drawing_format(self) -> dict[str, Any]:
        return {"side": self.fitted.learned.side, "labels": list(self.fitted.learned.labels)}

    def check_result_file(self, command: str, path: Path, values: Mapping[str, Any]) -> None:
        if command == "generate" and values.get("seconds") and path.suffix.lower() != ".svg":
            expected = "0 for a file that is not SVG, as only SVG is animated"
            raise ParameterError("seconds", expected, values["seconds"])

    @verb("see how surprising each drawing is: a table of nats per point", endings=(".csv", ".txt"))
    def predictions(
        self, data: Annotated[Any, _DATA], y: Any = None, *, reading: DrawingReading | None = None
    ) -> "SurpriseOfDrawings":
        """How surprising each drawing is to the model: nats a point, and how many of them are of offsets and the pen.

        Args:
            data: drawings as for `fit`; all parts of a file that is divided.
            y: their classes, as for `fit`.
            reading: how drawings are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.draw.results import predict

        path = Path(data) if isinstance(data, str | Path) else None
        return predict(self.fitted, self.data_for(data, y, reading), path)

    @verb("sample drawings, or complete one that was begun", endings=(".svg", ".png", ".csv"))
    def generation(
        self,
        *,
        count: Annotated[int, _COUNT] = 16,
        temperature: Annotated[float | None, _SAMPLED_TEMPERATURE] = None,
        bias: Annotated[float | None, _BIAS] = None,
        label: Annotated[str | None, _LABEL] = None,
        text: Annotated[str | None, _TEXT] = None,
        start: Annotated[str | None, _START] = None,
        start_text: Annotated[str | None, _START_TEXT] = None,
        start_size: Annotated[float | None, _START_SIZE] = None,
        start_epsilon: Annotated[float, _START_EPSILON] = 2.0,
        max_points: Annotated[int | None, _MAX_POINTS] = None,
        seconds: Annotated[float, _SECONDS] = 0.0,
        seed: Annotated[int, _SEED] = 0,
    ) -> "GeneratedDrawings":
        """Sample drawings, as a grid in SVG or PNG, or as a table of points.

        The k-th drawing of a seed is the same however many are sampled.

        Args:
            count: drawings to sample.
            temperature: see `recurra.models.pen_mixture.PenMixture.at_temperature`; None: 0.4, or 1 with a bias.
            bias: see `recurra.models.pen_mixture.PenMixture.sharpened`. None: the temperature is used.
            label: the class, of a model of several.
            text: what to write, with a model of handwriting.
            start: file of one drawing (SVG, InkML or a table) that each drawing completes, or of handwriting whose
                style the text is written in. None: each begins anew.
            start_text: what the start writes, directly before `text`; None: as its file says.
            start_size: longer side of the start as a fraction of a usual training drawing's (the median), or of
                handwriting its height; None: it is as in its file.
            start_epsilon: simplification of the start, in 255ths of a usual drawing's longer side; 0: none.
            max_points: points of a drawing at most, those of the start included; None: as many as training's longest.
            seconds: in which an SVG draws itself; 0: it does not.
            seed: of the random numbers.

        Raises:
            DataError: the start cannot be read, or the text has a character that training did not have.
            ParameterError: the class is not one of training's, the start has `max_points` already, the text is missing
                or the model writes none, or there is a temperature and a bias.
        """
        from recurra.tasks.draw.generation import generate, read_start

        begun = None if start is None else read_start(self.fitted, start, start_text, start_size, start_epsilon)
        return generate(
            self.fitted,
            count=count,
            temperature=temperature,
            bias=bias,
            label=label,
            text=text,
            start=begun,
            max_points=max_points,
            seconds=seconds,
            seed=seed,
        )

    def generate(self, **options: Any) -> "list[np.ndarray]":
        """The strokes (N, 3) of the drawings that `generation` samples, in the units of the training files."""
        return self.generation(**options).strokes

    @verb("write drawings again from their codes, at several temperatures", endings=(".svg", ".png", ".csv"))
    def reconstruct(
        self,
        data: Annotated[Any, _DATA],
        y: Any = None,
        *,
        rows: Annotated[tuple[int, ...], _ROWS] = (1, 2, 3, 4),
        temperatures: Annotated[tuple[float, ...], _TEMPERATURES] = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0),
        part: Annotated[_Part | None, _PART] = None,
        reading: DrawingReading | None = None,
        seed: Annotated[int, _SEED] = 0,
    ) -> "GeneratedDrawings":
        """A grid of drawings: in each row one of the data, and what is sampled from its code at each temperature.

        For runs with codes (`latent_size`). The code is the mean that the encoder reads from the whole drawing.

        Args:
            data: drawings as for `fit`.
            y: their classes, as for `fit`.
            rows: which drawings, from 1.
            temperatures: from left to right.
            part: see `evaluate`.
            reading: how drawings are read; None: as in training.
            seed: of the random numbers.

        Raises:
            DataError: the data cannot be used, or have no such part.
            ParameterError: there is no such drawing, or the run has no codes.
        """
        from recurra.tasks.draw.generation import reconstruct

        drawings, _ = self._part_of(self.data_for(data, y, reading), part)
        return reconstruct(self.fitted, drawings, rows, temperatures, seed)

    @verb("draw what lies between two drawings", endings=(".svg", ".png", ".csv"))
    def interpolate(
        self,
        data: Annotated[Any, _DATA],
        y: Any = None,
        *,
        rows: Annotated[tuple[int, int], _ROWS] = (1, 2),
        count: Annotated[int, Option(help="drawings between the two", at_least=2, group="drawings")] = 8,
        temperature: Annotated[float, _TEMPERATURE] = 0.1,
        part: Annotated[_Part | None, _PART] = None,
        reading: DrawingReading | None = None,
        seed: Annotated[int, _SEED] = 0,
    ) -> "GeneratedDrawings":
        """A row of drawings: one of the data, those of codes on the great circle from its code to another's, and that.

        For runs with codes (`latent_size`). All are sampled by the same random numbers.

        Args:
            data: drawings as for `fit`.
            y: their classes, as for `fit`; the class of the first is that of all.
            rows: which two drawings, from 1.
            count: drawings between them, the first and last of which are reconstructions.
            temperature: see `generation`.
            part: see `evaluate`.
            reading: how drawings are read; None: as in training.
            seed: of the random numbers.

        Raises:
            DataError: the data cannot be used, or have no such part.
            ParameterError: there is no such drawing, or the run has no codes.
        """
        from recurra.tasks.draw.generation import interpolate

        drawings, _ = self._part_of(self.data_for(data, y, reading), part)
        return interpolate(self.fitted, drawings, rows, count, temperature, seed)

    @verb("test a trained run beside a density without memory: nats per point")
    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        part: Annotated[_Part | None, _PART] = None,
        reading: DrawingReading | None = None,
    ) -> "Evaluation":
        """How well drawings are predicted, point by point, beside a mixture that only knows whether the pen is down.

        Args:
            data: drawings as for `fit`.
            y: their classes, as for `fit`.
            part: which part of a file that is divided; None: the test part, or all of a file that is not divided.
            reading: how drawings are read; None: as in training.

        Raises:
            DataError: the data cannot be used, or have no such part.
        """
        from recurra.tasks.draw.results import evaluate

        drawings, named = self._part_of(self.data_for(data, y, reading, True), part)
        return evaluate(self.fitted, drawings, named)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        y: Any = None,
        *,
        row: Annotated[int, Option(help="drawing to show, from 1", at_least=1)] = 1,
        part: Annotated[_Part | None, _PART] = None,
        reading: DrawingReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how one drawing is read, and some others spread over the data.

        The loss is the surprise of the last point of each drawing, given all before it. The output attributed is its
        log density, attributed to the points before.

        Args:
            data: drawings as for `fit`.
            y: their classes, as for `fit`.
            row: which drawing to show, from 1.
            part: see `evaluate`.
            reading: how drawings are read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used, or have no such part.
            ParameterError: there is no such drawing.
        """
        from recurra.tasks.draw.view import view

        drawings, _ = self._part_of(self.data_for(data, y, reading), part)
        return view(self.fitted, drawings, row, name)

    def _with_texts(self, drawings: "Drawings") -> "Drawings":
        """The drawings without those few that have no text, as some lines of a database do."""
        written, left_out = drawings.with_texts()
        if left_out:
            _log.warning("%s: %s drawings have no text and are left out; window = 0 reads all, without texts",
                         drawings.source, f"{left_out:,}")  # fmt: skip
        return written

    def _part_of(self, drawings: "Drawings", part: str | None) -> "tuple[Drawings, str]":
        """The drawings of a part, and its name; all of them, and "", if they are not divided."""
        if part is None and not drawings.parts:
            return drawings, ""
        return drawings.part(part or "test"), part or "test"


def _of_arrays(items: "Sequence[Any]", y: "Sequence[str] | None") -> "Drawings":
    from recurra.data.drawings.drawings import Drawings
    from recurra.data.drawings.strokes import check_strokes

    if not items:
        raise DataError("the data: no drawings; expected a list of strokes (N, 3).")
    pairs = [one if _is_pair(one) else (one, "") for one in items]
    strokes, texts = [one for one, _ in pairs], tuple(text for _, text in pairs)
    checked = [check_strokes(one, f"the data, drawing {position}") for position, one in enumerate(strokes, 1)]
    labels = [""] * len(checked) if y is None else list(map(str, y))
    if len(labels) != len(checked):
        raise ParameterError("y", f"a class for each of {len(checked)} drawings", f"{len(labels)} classes")
    return Drawings("the data", tuple(checked), tuple(labels), texts=texts if any(texts) else ())


def _is_pair(item: Any) -> bool:
    """Whether an item is strokes and the text that they write."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], str)
