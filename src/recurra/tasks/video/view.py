"""What `inspect` shows of a classifier of videos."""

from recurra.data.video.clips import Clips
from recurra.task import View
from recurra.task.frame_view import FrameItems, frame_view
from recurra.tasks.video.network import FittedVideo, with_defaults
from recurra.tasks.video.results import evaluate

__all__ = ["view"]

_READS = (
    "It reads {features} features of each frame, {rate:g} frames a second, and distinguishes {labels} labels. The "
    "temperature is {temperature:.2f}."
)
_INPUTS = (
    "Gradients and attributions are with respect to normalised features, all of a frame together. A frame that is "
    "taken away becomes the mean of the frames of these clips."
)


def view(fitted: FittedVideo, data: Clips, row: int, name: str) -> View:
    """What `inspect` shows of a classifier of videos; see `VideoClassifier.view`."""
    learned = fitted.learned
    items = FrameItems(
        "videos",
        "clip",
        data.source,
        [one.id for one in data],
        [one.content.seconds for one in data],
        [one.label for one in data],
    )
    rows = items.chosen(row)
    encoded, _ = learned.encode(data.take(rows))
    reads = _READS.format(
        features=learned.encoding.size if fitted.network.reader is None else fitted.network.reader.output_size,
        rate=learned.features.rate,
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
