"""The classifier of sounds: recordings in, one label out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.files.problems import MostUnusable
from recurra.data.files.standard_input import is_standard_input
from recurra.options import Option, option
from recurra.task import task, verb
from recurra.task.label_estimator import LabelEstimator
from recurra.task.series_network_options import SequenceNetworkOptions
from recurra.tasks.sound.learned import SoundLearned, describe, learn

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from torch import nn

    from recurra.data.audio.utterances import Utterances
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.task.classes import Classes
    from recurra.tasks.sound.network import SoundNetwork

__all__ = ["SoundClassifier", "SoundReading"]

_DATA = Option(
    help="recording, folder or list of recordings; - is standard input, one sound as WAV or as 16-bit samples at the "
    "run's rate",
    group="data",
)


class SoundReading(MostUnusable):
    """How recordings are read."""

    problems: str | None = option(
        default=None, help="file that a line for each recording with a problem is written to, tab-separated"
    )


@task("sound")
class SoundClassifier(
    AugmentationOptions, SequenceNetworkOptions, LabelEstimator["Utterances", SoundLearned, "SoundNetwork"]
):
    """A recurrent classifier of sounds, such as commands, noises or speakers, with calibrated probabilities.

    Data are a folder with a subfolder of recordings for each label; a table of files and labels (CSV, TSV, JSON lines);
    or a list of paths or of `recurra.data.audio.Sound`, with labels as `y`.

    Example:
        >>> classifier = SoundClassifier().fit("commands/")
        >>> classifier.predict(["stop.wav"])
        >>> classifier.save("runs/commands")
    """

    noun = "classifier of sounds"
    Reading = SoundReading
    learned_class = SoundLearned

    hidden_size: int | None = option(default=64, help="units of each direction of a layer")
    filters: int | None = option(
        default=64, help="filters of the convolutions before the recurrence; 0: no convolution"
    )
    kernel_sizes: tuple[int, ...] = option(
        default=(5, 5, 3), help="a convolution for each: frames that its filters see, odd numbers"
    )
    stride: int | None = option(
        default=None,
        help="frames that the convolutions make one step of; by default 4, and 1 without convolutions",
    )
    members: int | None = option(
        default=1,
        help="networks whose scores are averaged, and which share out each training batch among them",
    )
    dropout: float | None = option(default=0.3, help="dropout between the layers and on the pooled vector")
    volume_db: float = option(default=10.0)
    sample_rate: int | None = option(
        default=None,
        at_least=1000,
        help="samples a second, to which recordings are resampled; by default that of most recordings, at most 16,000",
        group="sound",
    )
    channel: int | None = option(
        default=None, at_least=0, help="channel that is read, from 0; by default the mean of all", group="sound"
    )
    bins: int | None = option(
        default=None,
        at_least=3,
        help="bands of the mel scale; by default 80 for at least 16,000 samples a second, 60 for at least 8,000, else "
        "30",
        group="sound",
    )
    batch_size: int = option(
        default=32, at_least=1, help="recordings a step", group="training", main=True, search=(16, 32, 64)
    )
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        at_most=0.5,
        help="fraction of each label's recordings held out to choose the best weights and to calibrate by, if there "
        "are no validation data; 0: none",
        group="validation",
    )

    def read(self, source: Any, y: Any, reading: SoundReading, labelled: bool) -> "Utterances":
        from recurra.tasks.sound.training import read

        return read(source, y, reading, labelled)

    def split(self, data: "Utterances") -> "tuple[Utterances, Utterances | None]":
        from recurra.data.labelled.items import split_rows

        rest, held = split_rows([(text,) for text in data.texts], self.validation_fraction, self.seed)
        return (data.take(rest), data.take(held)) if held else (data, None)

    def describe(self, training: "Utterances", validation: "Utterances | None") -> str:
        return describe(training, validation)

    def learn(self, training: "Utterances", validation: "Utterances | None") -> SoundLearned:
        return learn(self.get_params(), training, validation)

    def network(self, learned: SoundLearned) -> "SoundNetwork":
        from recurra.tasks.sound.network import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self, fitted: "Fitted[SoundLearned, SoundNetwork]", training: "Utterances", validation: "Utterances | None"
    ) -> "Objective":
        from recurra.tasks.sound.training import make_objective

        return make_objective(self, fitted, training, validation)

    def finish(
        self, fitted: "Fitted[SoundLearned, SoundNetwork]", training: "Utterances", validation: "Utterances | None"
    ) -> SoundLearned:
        """Fit the temperature to validation data."""
        from recurra.tasks.sound.training import calibrated

        return calibrated(fitted, validation)

    def standard_steps(self, steps_per_epoch: int) -> int:
        return max(20 * steps_per_epoch, 1000)

    @property
    def sound_format(self) -> dict[str, int]:
        log_mel = self.fitted.learned.log_mel
        return {"sample_rate": log_mel.sample_rate, "window": log_mel.window, "shift": log_mel.shift}

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is the samples of windows; the label is that of all so far."""
        from recurra.tasks.sound.network import open_stream

        return open_stream(self.fitted, weights, look_ahead)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. The inputs are normalised features, and the outputs are scores.

        Divided by `temperature`, they give probabilities by a softmax.
        """
        learned = self.fitted.learned
        facts = {
            "labels": list(learned.labels.names.symbols),
            "temperature": learned.temperature,
            "log_mel": learned.log_mel.get_params(),
            "encoding": learned.encoding.to_json(),
        }
        return self.fitted.network.classifier, facts

    @verb("classify recordings: a table of labels and their confidence", endings=(".csv", ".txt"))
    def predictions(
        self,
        data: Annotated[Any, _DATA],
        *,
        probabilities: Annotated[bool, Option(help="also write the probability of every label")] = False,
        reading: SoundReading | None = None,
    ) -> "Classes":
        """Labels of recordings, with their probabilities and the confidence in them.

        Args:
            data: recordings as for `fit`, with labels or without; "-": one sound from standard input.
            probabilities: whether the table has the probability of every label.
            reading: how recordings are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.sound.results import predict, read_standard_input

        if is_standard_input(data):
            data = read_standard_input(self.fitted)
        path = Path(data) if isinstance(data, str | Path) else None
        return predict(self.fitted, self.data_for(data, None, reading), path, probabilities)

    @verb("test a trained run beside a simple baseline: accuracy, F1, confusion, calibration, early decision")
    def evaluate(self, data: Any, y: Any = None, *, reading: SoundReading | None = None) -> "Evaluation":
        """Compare with known labels, beside the nearest mean of features.

        Args:
            data: recordings as for `fit`.
            y: their labels, as for `fit`.
            reading: how recordings are read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.sound.results import evaluate

        return evaluate(self.fitted, self.data_for(data, y, reading, True))

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        y: Any = None,
        *,
        row: Annotated[int, Option(help="recording to show, from 1", at_least=1)] = 1,
        reading: SoundReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how one recording is read, and some others spread over the data.

        The loss is -log p of the true label, or of the one predicted if the true one is not known or training never saw
        it. The output attributed is the log-odds of the likeliest label; it is attributed to the normalised features of
        frames.

        Args:
            data: recordings as for `fit`, with labels or without.
            y: their labels, as for `fit`; None: they are not known.
            row: which recording to show, from 1.
            reading: how recordings are read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such recording.
        """
        from recurra.tasks.sound.view import view

        return view(self.fitted, self.data_for(data, y, reading), row, name)
