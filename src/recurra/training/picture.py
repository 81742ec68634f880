"""A training's log as a picture."""

from pathlib import Path

from matplotlib.figure import Figure

from recurra.figures import write_figure
from recurra.training.log import read_log

__all__ = ["draw_training"]

_BLUE, _GREY = "#1f5fa8", "#8a8f98"


def draw_training(
    log: Path,
    path: Path,
    loss: str = "loss",
    training: str = "training",
    validation: str = "validation",
    twin: bool = False,
) -> None:
    """Draw training and validation loss by step into a PNG file.

    Args:
        log: the CSV file.
        path: of the picture.
        loss: what the axis says, a unit say.
        training: what the training loss is called.
        validation: what the validation loss is called.
        twin: whether validation, if there is any, has an axis of its own, as it measures something else.
    """
    rows = read_log(log)
    is_twin = twin and any(row["validation_loss"] for row in rows)
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    other = ax.twinx() if is_twin else ax
    for column, axes, colour, width, label in (
        ("loss", ax, _GREY, 0.9, training),
        ("validation_loss", other, _BLUE, 1.6, validation),
    ):
        points = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        if points:
            # A single point has no line to see.
            marker = "o" if len(points) == 1 else None
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, marker=marker, label=label)
        axes.spines[["top"] if is_twin else ["top", "right"]].set_visible(False)
        if is_twin:
            axes.set_ylabel(label if column != "loss" else f"{label}, {loss}", color=colour)
            axes.set_ylim(bottom=0)
    ax.set_xlabel("step")
    if not is_twin:
        ax.set_ylabel(loss)
        ax.legend(frameon=False)
    write_figure(figure, path)
