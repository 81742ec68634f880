"""The options of the command `recurra tune`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recurra.options import Option, Setting, make_setting
from recurra.task.verbs import train_settings
from recurra.tuning.options import TuningOptions

if TYPE_CHECKING:
    from recurra.task import Estimator

__all__ = ["tune_settings"]

_OF_TRAINING_ALONE = ("resume", "tensorboard")


def tune_settings(kind: "type[Estimator[Any, Any, Any]]") -> dict[str, Setting]:
    """All that a search on the command line takes, in the order of its help: search, data, then options as they are."""
    training = {name: one for name, one in train_settings(kind).items() if name not in _OF_TRAINING_ALONE}
    facts = Option(
        "YAML file of the values that are tried; by default those that the options state", group="search", main=True
    )
    space = make_setting("space", str | None, None, facts)
    out = training.pop("out")
    out = replace(
        out,
        default="runs/tuned",
        option=replace(out.option, help="folder of the search; its best run is in its folder best"),
    )
    return {"out": out, **TuningOptions.settings(), "space": space, **training}
