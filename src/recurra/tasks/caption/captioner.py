"""The captioner: images in, captions out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.errors import DataError, ParameterError
from recurra.files import prepare_folder
from recurra.options import Option, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.checks import check_cell, check_ending
from recurra.tasks.caption.learned import CaptionLearned
from recurra.tasks.caption.options import CaptionReading, CaptionSearch

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from recurra.models.image import ImageCaptioner, ReadImages
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.caption.results import Captions

__all__ = ["Captioner"]

_SEARCH = CaptionSearch()
_DATA = Option(help="image, folder of images, or a file that lists them with their captions", group="data")
_ENSEMBLE = Option(help="other runs, separated by commas, whose probabilities are averaged with this run's")
_FEW_CAPTIONS, _CAPTIONS_READ = 2_000, 64_000  # of training, read in a standard training


@task("caption")
class Captioner(Estimator["ReadImages", CaptionLearned, "ImageCaptioner"]):
    """A network that writes captions of images, with soft attention (Xu et al. 2015) or without (Vinyals et al. 2015).

    Data are a file that lists images with their captions (JSON lines, CSV, COCO's `captions_*.json`, Flickr8k's token
    file), or lists of images and of their captions. Of data that state no parts a fraction of the images is held out
    for validation.

    Example:
        >>> captioner = Captioner().fit("captions.jsonl")
        >>> captioner.predict(["photo.jpg"])
        >>> captioner.save("runs/captions")
    """

    noun = "captioner"
    Reading = CaptionReading
    second_stage = ("unfreeze_steps", "self_critical")
    learned_class = CaptionLearned
    reads_content = True

    features: Literal["pretrained", "trained"] = option(
        default="pretrained",
        help="what images are read by: EfficientNet-Lite0, frozen (extra pretrained), or a small network that is "
        "trained with the rest",
        group="network",
        main=True,
    )
    image_size: int = option(
        default=64, at_least=16, help="pixels of a side of an image, for features that are trained", group="network"
    )
    frames: int = option(
        default=1,
        at_least=1,
        help="frames of a video, at even times; the network attends to the cells of all",
        group="network",
        main=True,
    )
    attention: Literal["soft", "none"] = option(
        default="soft",
        help="soft attention to the grid of features with the gate beta, or nothing of the image but the first state",
        group="network",
        main=True,
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", main=True)
    hidden_size: int = option(
        default=512,
        at_least=1,
        help="units of each layer",
        group="network",
        main=True,
        search=Range(256, 768, step=128),
    )
    embedding_size: int = option(
        default=256, at_least=1, help="features of a word", group="network", search=Range(128, 384, step=128)
    )
    feature_size: int = option(
        default=256, at_least=8, help="features of a cell of the grid, as it is attended to", group="network"
    )
    attention_size: int = option(
        default=256, at_least=1, help="features that the output and a cell are compared by", group="network"
    )
    dropout: float = option(
        default=0.4,
        at_least=0,
        at_most=1,
        help="dropout of features, embeddings and outputs",
        group="regularization",
        main=True,
        search=Range(0, 0.6),
    )
    attention_penalty: float = option(
        default=1.0,
        at_least=0,
        help="weight in the loss of uneven attention (lambda of Xu et al. 2015)",
        group="regularization",
    )
    label_smoothing: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="fraction of each target's probability that is spread over the vocabulary in training",
        group="regularization",
    )
    teacher_forcing_ratio: float = option(
        default=1.0,
        at_least=0,
        at_most=1,
        help="probability that a word read in training is that of the caption; the others are sampled from the network "
        "(scheduled sampling, Bengio et al. 2015)",
        group="training",
    )
    teacher_forcing_epochs: float = option(
        default=5.0,
        at_least=0,
        help="epochs in which the teacher forcing ratio falls from 1, in a line; 0: it is the same from the first step",
        group="training",
    )
    self_critical: bool = option(
        default=False,
        help="raise the CIDEr-D of sampled captions above that of greedy ones (Rennie et al. 2017): a second stage, "
        "from the weights of a trained run (--from RUN)",
        group="training",
    )
    image_shift: int = option(
        default=3,
        at_least=0,
        help="pixels that a training image is shifted by at most, for features that are trained",
        group="regularization",
    )
    min_count: int = option(
        default=2, at_least=1, help="words that occur less often in training are unknown", group="data"
    )
    max_length: int = option(
        default=30, at_least=1, help="words of a caption: longer ones are not trained on", group="data"
    )
    batch_size: int = option(
        default=64, at_least=1, help="captions of a batch", group="training", main=True, search=(32, 64, 128)
    )
    learning_rate: float = option(default=1e-3)
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        at_most=0.5,
        help="fraction of the images held out to choose the best weights by, if the data state no parts; 0: none",
        group="validation",
    )

    def check(self) -> None:
        changed = self.changed()
        if self.self_critical:
            for name in ("label_smoothing", "attention_penalty", "teacher_forcing_ratio"):
                if name in changed:
                    expected = "the default with self_critical, which reads no captions"
                    raise ParameterError(name, expected, changed[name])
        if self.teacher_forcing_ratio == 1 and "teacher_forcing_epochs" in changed:
            expected = "the default with teacher_forcing_ratio = 1"
            raise ParameterError("teacher_forcing_epochs", expected, self.teacher_forcing_epochs)
        if self.features == "trained":
            from recurra.models.image import check_channels

            check_channels(self.image_size, self.feature_size, "feature_size")

    def read(self, source: Any, y: Any, reading: CaptionReading | None, labelled: bool) -> "ReadImages":
        return self._read(source, y, reading, ("train", "validation"), True)

    def split(self, data: "ReadImages") -> "tuple[ReadImages, ReadImages | None]":
        from recurra.data.image.captioned_images import split_rows

        training, held = split_rows(data.images, self.validation_fraction, self.seed)
        return data.take(training), data.take(held) if held else None

    def describe(self, training: "ReadImages", validation: "ReadImages | None") -> str:
        training, validation = _parts(training, validation)
        captions = sum(map(len, training.words))
        validated = "no validation" if validation is None else f"validated on {len(validation):,}"
        images, words = "image" + "s" * (len(training) != 1), "caption" + "s" * (captions != 1)
        return f"{training.source}: {len(training):,} {images} with {captions:,} {words}; {validated}"

    def learn(self, training: "ReadImages", validation: "ReadImages | None") -> CaptionLearned:
        learned = CaptionLearned.of(_parts(training, validation)[0], self.min_count)
        if len(learned.vocabulary) == len(learned.special):
            raise DataError(f"{training.source}: no word occurs min_count = {self.min_count} times; use --min-count 1.")
        return learned

    def network(self, learned: CaptionLearned) -> "ImageCaptioner":
        from recurra.tasks.caption.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self,
        fitted: "Fitted[CaptionLearned, ImageCaptioner]",
        training: "ReadImages",
        validation: "ReadImages | None",
    ) -> "Objective":
        from recurra.tasks.caption.training import make_objective

        return make_objective(self.get_params(), fitted, *_parts(training, validation))

    def standard_steps(self, steps_per_epoch: int) -> int:
        # Of four times as many captions each is read half as often.
        captions = steps_per_epoch * self.batch_size
        return max(round(_CAPTIONS_READ * (captions / _FEW_CAPTIONS) ** 0.5 / self.batch_size), 100)

    @verb("write captions of images", endings=(".csv", ".jsonl"))
    def predictions(
        self,
        data: Annotated[Any, _DATA],
        *,
        search: CaptionSearch = _SEARCH,
        ensemble: Annotated[tuple[Any, ...], _ENSEMBLE] = (),
        scores: Annotated[bool, Option(help="show the score of each caption")] = False,
        attention: Annotated[
            str | None,
            Option(
                help="also a picture of what each word attends to in the first image, as a PNG file",
                check=check_ending(".png"),
                group="output",
            ),
        ] = None,
        page: Annotated[
            str | None,
            Option(
                help="also an HTML page that shows what each word attends to, in the first images",
                check=check_ending(".html"),
                group="output",
            ),
        ] = None,
        reading: CaptionReading | None = None,
    ) -> "Captions":
        """Write captions, each word read back as the input of the next.

        Args:
            data: the path of an image, of a folder of images or of a file that lists them, or a list of images: paths,
                contents of files as bytes, pixels (H, W, 3) of uint8, or images of Pillow. Of data that state parts,
                those of `reading.part`.
            search: how.
            ensemble: other captioners, or their runs, with the same vocabulary; probabilities are averaged.
            scores: whether the text has scores too.
            attention: the path of the picture. None: none is drawn.
            page: the path of the page. None: none is written.
            reading: how files are read; None: as in training.

        Raises:
            ParameterError: an ensemble has different vocabularies, or a run without attention is to show it.
            DataError: the data cannot be used, or one image of a list.
            RunError: the picture or the page cannot be written.
        """
        from recurra.tasks.caption.results import Captions

        for name, value in (("attention", attention), ("page", page)):
            if value is not None and not self.fitted.network.attends:
                raise ParameterError(name, "None for a run without attention (--attention none)", value)
        models = [self, *map(self._as_captioner, ensemble)]
        images = [model._for_verb(data, reading, False) for model in models]
        for path in (attention, page):
            if path is not None:
                prepare_folder(Path(path).parent)
        several = isinstance(data, str | Path) and len(images[0]) > 1
        read_from = Path(data) if several else None
        return Captions([model.fitted for model in models], images, search, scores, read_from, attention, page)

    @verb("test a trained run beside simple baselines, free-running")
    def evaluate(
        self,
        data: Annotated[Any, _DATA],
        y: Any = None,
        *,
        search: CaptionSearch = _SEARCH,
        ensemble: Annotated[tuple[Any, ...], _ENSEMBLE] = (),
        reading: CaptionReading | None = None,
    ) -> "Evaluation":
        """BLEU-1 to 4, CIDEr-D and ROUGE-L of captions that the network wrote, beside all captions of each image.

        The baselines are the most frequent caption of training, and the first caption of the nearest training image.

        Args:
            data: anything that `fit` takes; of data that state parts, those of `reading.part`.
            y: the captions of each image, if `data` is a list of images.
            search: how.
            ensemble: as in `predictions`.
            reading: how files are read; None: as in training.

        Raises:
            MissingExtraError: sacrebleu is not installed.
            DataError: the data cannot be used.
        """
        from recurra.tasks.caption.results import evaluate_images

        models = [self, *map(self._as_captioner, ensemble)]
        images = [model._for_verb(data, reading, True, y) for model in models]
        return evaluate_images([model.fitted for model in models], images, search, [str(other) for other in ensemble])

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Annotated[Any, _DATA],
        y: Any = None,
        *,
        row: Annotated[int, Option(help="image to show, from 1", at_least=1)] = 1,
        reading: CaptionReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how the last word of a person's caption is predicted, and that of some others that are as long.

        The decoder reads the caption up to there. The loss is the surprise of the word; the output attributed is its
        log-probability, attributed to the embeddings of the words before.

        Args:
            data: anything that `fit` takes; of data that state parts, those of `reading.part`.
            y: the captions of each image, if `data` is a list of images.
            row: the image to show, from 1.
            reading: how files are read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such image.
        """
        from recurra.tasks.caption.view import view

        return view(self.fitted, self._for_verb(data, reading, True, y), row, name)

    def _for_verb(self, data: Any, reading: CaptionReading | None, labelled: bool, y: Any = None) -> "ReadImages":
        """The images of a verb, as this captioner reads them."""
        chosen: CaptionReading = reading or self.later_reading()
        return self._read(data, y, chosen, (chosen.part,), labelled)

    def _read(
        self, source: Any, y: Any, reading: CaptionReading | None, parts: tuple[str, ...], labelled: bool
    ) -> "ReadImages":
        """Images of these parts, read; those without a caption are refused if `labelled` is true."""
        from recurra.data import samples
        from recurra.data.image.caption_files import read_captions
        from recurra.data.image.captioned_images import CaptionedImages, images_of
        from recurra.data.video.video_files import VIDEOS
        from recurra.models.image import ReadImages, read_images
        from recurra.tasks.caption.training import make_reader
        from recurra.training.device import usable_device

        if isinstance(source, ReadImages):
            return source
        reading = reading or CaptionReading()
        reader = make_reader(self.get_params(), reading, usable_device(self.device))
        if isinstance(source, CaptionedImages):
            images = source
        elif isinstance(source, str | Path):
            path = samples.path(source) if isinstance(source, str) and source in samples.names("captions") else source
            images = read_captions(path, reading.images, VIDEOS)
        else:
            images = images_of(source, y)
        # Captions of a list are in its order: none may be missing.
        in_order = images.files is None and not labelled
        return read_images(images.in_parts(*parts), reader, 0.0 if in_order else reading.most_unusable, labelled)

    def _as_captioner(self, other: Any) -> "Captioner":
        return other if isinstance(other, Captioner) else Captioner.load(other)


def _parts(training: "ReadImages", validation: "ReadImages | None") -> "tuple[ReadImages, ReadImages | None]":
    """The parts to train on and to validate with, of data that may state more."""
    return training.in_parts("train"), None if validation is None else validation.in_parts("validation")
