"""What `inspect` shows of a classifier of videos."""

import numpy as np

from recurra.data.video.clips import Clips
from recurra.inspection import Words
from recurra.task import View
from recurra.task.label_view import chosen_rows, label_view, layers_in_words
from recurra.tasks.video.network import FittedVideo, with_defaults
from recurra.tasks.video.results import evaluate
from recurra.text_table import one_line, percent

__all__ = ["view"]

_MOST = 16  # clips
_SECONDS = 5.0  # that are shown beside the clip plotted, at most

_READS = (
    "It reads {features} features of each frame, {rate:g} frames a second, and distinguishes {labels} labels. The "
    "temperature is {temperature:.2f}."
)
_INPUTS = (
    "Gradients and attributions are with respect to normalised features, all of a frame together. A frame that is "
    "taken away becomes the mean of the frames of these clips."
)
_LAYER_STEP = "step of the recurrent layers, one for every {stride} frames"


def view(fitted: FittedVideo, data: Clips, row: int, name: str) -> View:
    """What `inspect` shows of a classifier of videos; see `VideoClassifier.view`."""
    learned = fitted.learned
    whose = f"the clips of {data.source}"
    shown = data.take(chosen_rows([one.content.seconds for one in data], row, _MOST, _SECONDS, whose))
    encoded, _ = learned.encode(shown)
    known = all(one.label is not None for one in data)
    return label_view(
        fitted,
        encoded,
        learned.labels,
        learned.temperature,
        [(one.label,) if one.label else () for one in shown],
        fitted.options["members"],
        lambda logits: _words(fitted, shown, data, row, logits, known, name),
        (lambda: evaluate(fitted, data)) if known else None,
    )


def _words(
    fitted: FittedVideo, shown: Clips, data: Clips, row: int, logits: np.ndarray, known: bool, name: str
) -> Words:
    learned, options = fitted.learned, with_defaults(fitted.options)
    probabilities = learned.probabilities(logits[:1])[0]
    label = one_line(learned.labels.names.symbols[int(probabilities.argmax())])
    reads = _READS.format(
        features=learned.encoding.size if fitted.network.reader is None else fitted.network.reader.output_size,
        rate=learned.features.rate,
        labels=len(learned.labels),
        temperature=learned.temperature,
    )
    one = shown[0]
    truth = f" Its label is {one_line(one.label)}." if one.label else ""
    looked_at = (
        f"{len(shown):,} of {len(data):,} clips are shown. Clip {row} ({one_line(one.id)}), of "
        f"{one.content.seconds:.2f} s, is plotted.{truth} The model predicts {label} "
        f"({percent(float(probabilities.max()))} %)."
    )
    facts = {
        "run": name,
        "data": data.source,
        "network": layers_in_words(options, reads),
        "looked at": looked_at,
        "inputs": _INPUTS,
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a classifier of videos",
        facts={key: value for key, value in facts.items() if value},
        loss="-log p of the label of each clip"
        + ("" if known else ", or of the one predicted if its own is not known"),
        output="log-odds of the likeliest label",
        plotted=f"log-odds of label {label}",
        unit="nats",
        first_step=1,
        step="frame",
        mean="the mean frame",
        layer_step="" if options["stride"] == 1 else _LAYER_STEP.format(stride=options["stride"]),
    )
