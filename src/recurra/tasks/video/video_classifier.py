"""The classifier of videos: clips in, one label out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.video.augmentation_options import FrameAugmentation, MotionAugmentation
from recurra.errors import ParameterError
from recurra.options import Option, Options, Range, option
from recurra.task import task, verb
from recurra.task.label_estimator import LabelEstimator
from recurra.task.series_network_options import SequenceNetworkOptions
from recurra.tasks.video.learned import VideoLearned, describe, learn

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from torch import nn

    from recurra.data.video.clips import Clips
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.task.classes import Classes
    from recurra.tasks.video.live import Watched
    from recurra.tasks.video.network import VideoNetwork
    from recurra.tasks.video.segments import Spans

__all__ = ["VideoClassifier", "VideoReading"]

_LEAST_PART = 0.05


def _check_crop(name: str, value: tuple[float, ...]) -> None:
    expected = "left, top, right, bottom from 0 to 1, of a part at least a twentieth wide and high"
    if len(value) != 4 or not all(0 <= one <= 1 for one in value):
        raise ParameterError(name, expected, value)
    left, top, right, bottom = value
    if right - left < _LEAST_PART or bottom - top < _LEAST_PART:
        raise ParameterError(name, expected, value)


_DATA = Option(help="recording, archive, folder or table of clips", group="data")


class VideoReading(Options):
    """How clips are read."""

    frame_rate: float = option(
        default=30.0, above=0, help="frames a second of landmarks without times, and of folders of images"
    )
    subjects: tuple[str, ...] = option(
        default=(), help="subjects whose clips are read, such as s1,s3; by default everybody's"
    )
    part: str | None = option(default=None, help="part to read of a table with such a column, such as train")


@task("video")
class VideoClassifier(
    MotionAugmentation, FrameAugmentation, SequenceNetworkOptions, LabelEstimator["Clips", VideoLearned, "VideoNetwork"]
):
    """A recurrent classifier of what happens in clips, such as actions, gestures or signs.

    Clips are videos; or landmarks: points of a body, a hand or a face by frame, perhaps with sensors beside them. Data
    are a folder with a subfolder of recordings for each label; a table of files and labels (CSV, TSV); or a list of
    paths, of arrays (T, J, D) or of `recurra.data.video.landmarks.Landmarks`, with labels as `y`.

    Example:
        >>> classifier = VideoClassifier().fit("gestures/")
        >>> classifier.predict(["wave.csv"])
        >>> classifier.save("runs/gestures")
    """

    noun = "classifier of videos"
    Reading = VideoReading
    learned_class = VideoLearned

    hidden_size: int | None = option(
        default=128, help="units of each direction of a layer", search=Range(32, 256, step=32)
    )
    num_layers: int = option(default=2, search=Range(1, 3))
    filters: int | None = option(default=0, help="filters of the convolutions before the recurrence; 0: no convolution")
    stride: int | None = option(default=None, help="frames that the convolutions make one step of; by default 1")
    members: int | None = option(
        default=1,
        help="networks whose scores are averaged, and which share out each training batch among them",
    )
    dropout: float | None = option(default=0.4, help="dropout between the layers and on the pooled vector")
    input_dropout: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="fraction of features that training hides from the network, at all frames of a clip",
        group="regularization",
        search=Range(0, 0.4),
    )
    label_smoothing: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="fraction of each clip's probability that is spread over all labels in training",
        group="regularization",
    )
    rate: float | None = option(
        default=None,
        above=0,
        help="frames a second, to which clips are resampled by their times; by default 10 of videos, and those of "
        "training of landmarks",
        group="clips",
    )
    by_frame: bool = option(
        default=False,
        help="whether every frame gets a label, and a recording spans with a start and an end; by default a clip has "
        "one label",
        group="clips",
        main=True,
    )
    background: str = option(
        default="none", help="label of frames of which the data say nothing, with by-frame", group="clips"
    )
    features: Literal["trained", "pretrained"] = option(
        default="trained",
        help="what the frames of videos are read by: a small network that is trained with the rest, or "
        "EfficientNet-Lite0 (extra pretrained), whose features are cached",
        group="videos",
    )
    fine_tuned_blocks: int = option(
        default=0,
        at_least=0,
        at_most=5,
        help="of the 16 blocks of EfficientNet-Lite0 the last ones, which are trained with the rest; 0: it is frozen",
        group="videos",
    )
    frame_size: int = option(
        default=48, at_least=16, at_most=512, help="pixels of a side, to which frames are scaled", group="videos"
    )
    crop: tuple[float, ...] = option(
        default=(0.0, 0.0, 1.0, 1.0),
        check=_check_crop,
        help="left, top, right and bottom of the part of the picture that is read, as fractions of its width and "
        "height, such as 0.2,0.1,0.8,1; by default all of it",
        group="videos",
    )
    clip_seconds: float = option(
        default=0.0,
        at_least=0,
        help="seconds of a longer clip that training reads in an epoch, another part each time; 0: all",
        group="clips",
    )
    channels: int = option(
        default=64, at_least=8, help="channels of the maps that convolutions make of a frame", group="videos"
    )
    differences: bool = option(
        default=False, help="whether the network also reads what changed since the frame before", group="videos"
    )
    parts: int = option(
        default=0,
        at_least=0,
        at_most=8,
        help="parts of the height and of the width of a picture, over which maps are pooled, so that features tell "
        "less of where something is; 0: they are not pooled",
        group="videos",
    )
    num_features: int = option(
        default=128, at_least=1, help="features of a frame that are made of its maps", group="videos"
    )
    map_hidden_size: int = option(
        default=0, at_least=0, help="channels of a ConvLSTM over the maps of frames; 0: none", group="videos"
    )
    decoders: int = option(
        default=0,
        at_least=0,
        help="processes that decode videos that are not cached; 0: one a core, if there are many videos",
        group="videos",
    )
    centre: Literal["frame", "clip", "none"] = option(
        default="frame",
        help="what points are relative to: the mean of their frame, of the clip's first frame, or none",
        group="landmarks",
    )
    scale: Literal["clip", "so_far", "none"] = option(
        default="clip",
        help="what points are divided by: the size of the body in the clip; in the frames so far, which a stream has; "
        "or none",
        group="landmarks",
    )
    speeds: bool = option(default=True, help="whether the network also reads how fast points move", group="landmarks")
    jitter: float = option(
        default=0.05,
        at_least=0,
        help="deviation of the noise that training adds to each feature, after normalisation",
        group="augmentation",
    )
    learning_rate: float = option(default=0.005)
    batch_size: int = option(
        default=32, at_least=1, help="clips a step", group="training", main=True, search=(16, 32, 64)
    )
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        at_most=0.5,
        help="fraction of each label's clips held out to choose the best weights and to calibrate by, if there are no "
        "validation data and no validation-subjects; 0: none",
        group="validation",
    )
    validation_subjects: tuple[str, ...] = option(
        default=(),
        help="subjects whose clips are held out instead: a network is to know people that it never saw",
        group="validation",
    )

    def check(self) -> None:
        if self.by_frame:
            for name, only in (("filters", 0), ("members", 1)):
                if (value := getattr(self, name)) != only:
                    raise ParameterError(name, f"{only} with by_frame, which labels each step of one network", value)
        if self.fine_tuned_blocks and self.features == "trained":
            raise ParameterError("fine_tuned_blocks", "0 without features=pretrained", self.fine_tuned_blocks)
        if "channels" in self.changed() or "frame_size" in self.changed():
            from recurra.models.image import check_channels

            check_channels(self.frame_size, self.channels)

    def check_result_file(self, command: str, path: Path, values: Mapping[str, Any]) -> None:
        if command == "predict":
            watches = values.get("every") is not None
            endings = (".json", ".srt", ".csv") if watches or self.by_frame else (".csv", ".txt")
            if path.suffix.lower() not in endings:
                when = (
                    "of a run that labels every frame"
                    if self.by_frame
                    else f"{'with' if watches else 'without'} --every"
                )
                raise ParameterError("out", f"a file ending in {', '.join(endings)} {when}", str(path))

    def read(self, source: Any, y: Any, reading: VideoReading, labelled: bool) -> "Clips":
        from recurra.data.video.read import read_clips

        clips = read_clips(source, y, reading.frame_rate, reading.subjects, reading.part, self.by_frame)
        if labelled:
            _ = clips.check_spans() if self.by_frame else clips.labels
        return clips

    def later_reading(self) -> VideoReading:
        """That of training, but of whatever subjects and part a verb names: those of training are no test."""
        reading = self.fitted.reading or VideoReading()
        return VideoReading(frame_rate=reading.frame_rate)  # type: ignore[attr-defined]

    def split(self, data: "Clips") -> "tuple[Clips, Clips | None]":
        if self.validation_subjects:
            held = [k for k, one in enumerate(data) if one.subject in self.validation_subjects]
            if not 0 < len(held) < len(data):
                there = ", ".join(sorted({one.subject or "" for one in data} - {""})) or "none"
                expected = f"some, but not all, of the subjects of {data.source}: {there}"
                raise ParameterError("validation_subjects", expected, self.validation_subjects)
        else:
            held = data.held_out(self.validation_fraction, self.seed)
        rest = sorted(set(range(len(data))) - set(held))
        return (data.take(rest), data.take(held)) if held else (data, None)

    def describe(self, training: "Clips", validation: "Clips | None") -> str:
        return describe(training, validation, self.by_frame)

    def learn(self, training: "Clips", validation: "Clips | None") -> VideoLearned:
        return learn(self.get_params(), training, validation)

    def network(self, learned: VideoLearned) -> "VideoNetwork":
        from recurra.tasks.video.network import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self, fitted: "Fitted[VideoLearned, VideoNetwork]", training: "Clips", validation: "Clips | None"
    ) -> "Objective":
        from recurra.tasks.video.training import make_objective

        return make_objective(self, fitted, training, validation)

    def finish(
        self, fitted: "Fitted[VideoLearned, VideoNetwork]", training: "Clips", validation: "Clips | None"
    ) -> VideoLearned:
        """Fit the temperature to validation data."""
        from recurra.tasks.video.training import calibrated

        return calibrated(fitted, validation)

    def standard_steps(self, steps_per_epoch: int) -> int:
        return max(60 * steps_per_epoch, 1000)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a frame, of landmarks or an image; the label is that of all so far.

        With `by_frame` it is that of the frame.
        """
        from recurra.tasks.video.live import open_stream

        return open_stream(self.fitted, weights, look_ahead)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. The inputs are normalised features of landmarks or of frames.

        The outputs are scores, of each frame with `by_frame`. Divided by `temperature`, they give probabilities by a
        softmax.
        """
        from recurra.errors import ExportError

        learned = self.fitted.learned
        if self.fitted.network.reader is not None:
            raise ExportError("this classifier reads frames of videos by a network that is not exported with it")
        facts = {
            "labels": list(learned.labels.names.symbols),
            "temperature": learned.temperature,
            "features": learned.features.to_json(),
            "encoding": learned.encoding.to_json(),
        }
        return self.fitted.network.classifier, facts

    @verb(
        "classify clips: a table of labels and their confidence; or watch a recording as it runs",
        endings=(".csv", ".txt", ".json", ".srt"),
    )
    def predictions(
        self,
        data: Annotated[Any, _DATA],
        *,
        probabilities: Annotated[bool, Option(help="also write the probability of every label")] = False,
        every: Annotated[
            float | None,
            Option(help="watch a recording, and say what is seen each so many seconds", above=0, group="watching"),
        ] = None,
        window: Annotated[
            float | None,
            Option(
                help="seconds that it looks back; by default those of the longest clip of training; 0: to the "
                "beginning, of a network that reads forward alone",
                at_least=0,
                group="watching",
            ),
        ] = None,
        begin: Annotated[
            float, Option(help="probability that begins an event", above=0.5, at_most=1, group="watching")
        ] = 0.7,
        end: Annotated[
            float, Option(help="probability below which an event ends", above=0, at_most=1, group="watching")
        ] = 0.4,
        reading: VideoReading | None = None,
    ) -> "Classes | Spans | Watched":
        """Labels of clips, with their probabilities and the confidence in them; or what is seen as a recording runs.

        With `by_frame` it is what happens when: events with a start, an end and the mean probability of their frames.

        Args:
            data: clips as for `fit`, with labels or without; with `every` one recording.
            probabilities: whether the table has the probability of every label.
            every: seconds between decisions about a recording that is watched; None: clips are classified as wholes.
            window: seconds that a decision looks back; 0: to the beginning. None: the longest clip of training.
            begin: probability that begins an event.
            end: probability below which it ends.
            reading: how clips are read; None: as in training, of all subjects.

        Raises:
            DataError: the data cannot be used.
            ParameterError: `every` is given, and the data are not one recording.
            StreamError: `every` is given, and the classifier cannot watch; see `recurra.tasks.video.live.Watcher`.
        """
        from recurra.tasks.video.results import predict, watch

        path = Path(data) if isinstance(data, str | Path) else None
        clips = self.data_for(data, None, reading)
        if every is not None:
            return watch(self.fitted, clips, every, window, begin, end)
        return predict(self.fitted, clips, path, probabilities)

    @verb("test a trained run beside a simple baseline: accuracy, F1, confusion, calibration, early decision")
    def evaluate(self, data: Any, y: Any = None, *, reading: VideoReading | None = None) -> "Evaluation":
        """Compare with known labels, beside the nearest mean of features.

        With `by_frame` scores are of frames, and F1 is also of segments: see
        `recurra.detection.metrics.label_segments.segment_f1`.

        Args:
            data: clips as for `fit`.
            y: their labels, as for `fit`.
            reading: how clips are read; None: as in training, of all subjects.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.video.results import evaluate

        return evaluate(self.fitted, self.data_for(data, y, reading, True))

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        y: Any = None,
        *,
        row: Annotated[int, Option(help="clip to show, from 1", at_least=1)] = 1,
        reading: VideoReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how one clip is read, and some others spread over the data.

        The loss is -log p of the true label, or of the one predicted if the true one is not known or training never saw
        it. The output attributed is the log-odds of the likeliest label; it is attributed to the normalised features of
        frames.

        Args:
            data: clips as for `fit`, with labels or without.
            y: their labels, as for `fit`; None: they are not known.
            row: which clip to show, from 1.
            reading: how clips are read; None: as in training, of all subjects.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such clip, or the run labels every frame.
        """
        from recurra.tasks.video.view import view

        if self.by_frame:
            raise ParameterError("by_frame", "false: a clip's one decision is what is inspected", True)

        return view(self.fitted, self.data_for(data, y, reading), row, name)
