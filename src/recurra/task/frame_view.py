"""What `inspect` shows of a classifier that reads frames: of sounds, or of videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.inspection import Words
from recurra.task.fitted import Fitted
from recurra.task.label_view import chosen_rows, label_view, layers_in_words
from recurra.task.results import Evaluation
from recurra.task.view import View
from recurra.text_table import one_line, percent
from recurra.training.outputs import Encoded

__all__ = ["FrameItems", "frame_view"]

_MOST = 16  # items
_SECONDS = 5.0  # that are shown beside the item plotted, at most
_LAYER_STEP = "step of the recurrent layers, one for every {stride} frames"


@dataclass(frozen=True)
class FrameItems:
    """Data of which some items are shown.

    Attributes:
        kind: what the items are of: "sounds" or "videos".
        item: what one is called: "recording" or "clip".
        source: what the data are called.
        names: of the items.
        seconds: of the items.
        labels: of the items; None: it is not known.
    """

    kind: str
    item: str
    source: str
    names: Sequence[str]
    seconds: Sequence[float]
    labels: Sequence[str | None]

    def chosen(self, row: int) -> list[int]:
        """The item to plot, and some others. Raises ParameterError: there is no such item."""
        return chosen_rows(self.seconds, row, _MOST, _SECONDS, f"the {self.item}s of {self.source}")


def frame_view(
    fitted: Fitted[Any, Any],
    encoded: Encoded,
    items: FrameItems,
    rows: Sequence[int],
    reads: str,
    inputs: str,
    *,
    options: dict[str, Any],
    name: str,
    evaluate: Callable[[], Evaluation],
) -> View:
    """The view of the items of these rows, the first of which is plotted.

    Args:
        fitted: a model of frames with one label an item.
        encoded: the items of the rows.
        items: all of them.
        rows: from 0.
        reads: a sentence about what the network reads.
        inputs: sentences about what is attributed to.
        options: of the model, with defaults.
        name: of the run, or "".
        evaluate: of all items; it is called if all labels are known.
    """
    learned = fitted.learned
    known = all(label is not None for label in items.labels)

    def words(logits: np.ndarray) -> Words:
        probabilities = learned.probabilities(logits[:1])[0]
        label = one_line(learned.labels.names.symbols[int(probabilities.argmax())])
        own = items.labels[rows[0]]
        looked_at = (
            f"{len(rows):,} of {len(items.names):,} {items.item}s are shown. {items.item.capitalize()} {rows[0] + 1} "
            f"({one_line(items.names[rows[0]])}), of {items.seconds[rows[0]]:.2f} s, is plotted."
            f"{f' Its label is {one_line(own)}.' if own else ''} The model predicts {label} "
            f"({percent(float(probabilities.max()))} %)."
        )
        facts = {
            "run": name,
            "data": items.source,
            "network": layers_in_words(options, reads),
            "looked at": looked_at,
            "inputs": inputs,
        }
        return Words(
            title=f"Inspection of {name or f'a classifier of {items.kind}'}",
            facts={key: value for key, value in facts.items() if value},
            loss=f"-log p of the label of each {items.item}"
            + ("" if known else ", or of the one predicted if its own is not known"),
            output="log-odds of the likeliest label",
            plotted=f"log-odds of label {label}",
            unit="nats",
            first_step=1,
            step="frame",
            mean="the mean frame",
            layer_step="" if options["stride"] == 1 else _LAYER_STEP.format(stride=options["stride"]),
        )

    return label_view(
        fitted,
        encoded,
        learned.labels,
        learned.temperature,
        [(label,) if label else () for label in (items.labels[k] for k in rows)],
        fitted.options["members"],
        words,
        evaluate if known else None,
    )
