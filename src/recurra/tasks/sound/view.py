"""What `inspect` shows of a classifier of sounds."""

from recurra.data.audio.utterances import Utterances
from recurra.task import View
from recurra.task.frame_view import FrameItems, frame_view
from recurra.tasks.sound.network import FittedSound, with_defaults
from recurra.tasks.sound.results import evaluate

__all__ = ["view"]

_READS = (
    "It reads {features} bands of the mel scale, a frame every {shift_ms:g} ms at {sample_rate:,} samples a second, "
    "and distinguishes {labels} labels. The temperature is {temperature:.2f}."
)
_INPUTS = (
    "Gradients and attributions are with respect to normalised features, all bands of a frame together. A frame that "
    "is taken away becomes the mean of the frames of these recordings."
)


def view(fitted: FittedSound, data: Utterances, row: int, name: str) -> View:
    """What `inspect` shows of a classifier of sounds; see `SoundClassifier.view`."""
    learned = fitted.learned
    items = FrameItems(
        "sounds",
        "recording",
        data.source,
        [one.id for one in data],
        [one.seconds for one in data],
        [one.text for one in data],
    )
    rows = items.chosen(row)
    encoded, _ = learned.encode(data.take(rows), fitted.options["channel"])
    reads = _READS.format(
        features=learned.encoding.size,
        shift_ms=learned.log_mel.shift_ms,
        sample_rate=learned.log_mel.sample_rate,
        labels=len(learned.labels),
        temperature=learned.temperature,
    )
    return frame_view(
        fitted,
        encoded,
        items,
        rows,
        reads,
        _INPUTS,
        options=with_defaults(fitted.options),
        name=name,
        evaluate=lambda: evaluate(fitted, data),
    )
