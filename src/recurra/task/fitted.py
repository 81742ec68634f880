"""The fitted model: options, what was learned, and the network. It alone writes and reads a run folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import nn

from recurra.errors import RunError
from recurra.files import write_text
from recurra.options import Options
from recurra.task.learned import Learned
from recurra.training import Checkpoint, load_checkpoint, read_run, save_checkpoint, write_run

if TYPE_CHECKING:
    import torch

    from recurra.task.estimator import Estimator

__all__ = ["Fitted"]

_LEARNED = "learned.json"
_TENSORS = "learned.safetensors"
_WEIGHTS = "best.safetensors"

LearnedT = TypeVar("LearnedT", bound=Learned)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass
class Fitted(Generic[LearnedT, NetworkT]):
    """What a run folder holds, beside the training's log and checkpoints.

    Attributes:
        options: of the estimator, by name.
        reading: how its files were read; None for a task without such options.
        learned: see `Estimator.learn`.
        network: on `device`.
        device: of the network.
        data: facts about the training data: `source`, `validation`, and a `digest` of each; `frozen`, for how many
            steps of training which weights stay as they are, if some do.
    """

    options: dict[str, Any]
    reading: Options | None
    learned: LearnedT
    network: NetworkT
    device: "torch.device"
    data: dict[str, Any]

    def write(self, folder: Path, kind: "type[Estimator[Any, Any, Any]]") -> None:
        """Write everything but the weights; `run.json` comes last, so that it stands for a whole run.

        Raises:
            RunError: the folder cannot be written.
        """
        self.write_learned(folder)
        tensors = self.learned.tensors()
        if tensors:
            save_checkpoint(Checkpoint(tensors), folder / _TENSORS)
        values = {
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "options": self.options,
            "reading": None if self.reading is None else self.reading.get_params(),
            "data": self.data,
            "tensors": bool(tensors),
        }
        write_run(folder, kind.task, values)

    def write_learned(self, folder: Path) -> None:
        """Write anew what was learned, without its tensors, into the folder of a run: one file, replaced atomically.

        Raises:
            RunError: the folder cannot be written.
        """
        write_text(folder / _LEARNED, json.dumps(self.learned.to_json(), ensure_ascii=False) + "\n")

    def save_weights(self, folder: Path) -> None:
        """Write the network's weights. Raises RunError."""
        checkpoint = Checkpoint()
        checkpoint.add_group("model", self.network.state_dict())
        save_checkpoint(checkpoint, folder / _WEIGHTS)

    def load_weights(self, folder: Path) -> None:
        """Read the network's weights, and put it into evaluation mode.

        Raises:
            RunError: the file is missing, damaged, or of another network; or training failed, see `check_trained`.
        """
        checkpoint = load_checkpoint(folder / _WEIGHTS)
        weights = checkpoint.group("model")
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{folder / _WEIGHTS}: not the weights of the model in run.json ({reason})") from error
        self.check_trained(str(folder), checkpoint.values.get("step", 0), checkpoint.values.get("skipped", 0))
        self.network.eval()

    def check_trained(self, source: str, steps: int, skipped: int) -> None:
        """Refuse a network that training left without use.

        Args:
            source: of the network, for the message.
            steps: of training, those skipped included.
            skipped: steps whose loss or gradient was not finite.

        Raises:
            RunError: no step had a finite loss and gradient, or a weight is not finite, or its square overflows.
        """
        if skipped >= steps > 0:
            fault = f"no step of its training had a finite loss and gradient ({steps:,} steps)"
        elif wrong := [name for name, one in self.network.named_parameters() if not bool(one.isfinite().all())]:
            fault = f"training left NaN or infinity in its weights ({', '.join(wrong[:3])})"
        elif wrong := [name for name, one in self.network.named_parameters() if _overflows(one)]:
            fault = f"training diverged to weights that overflow ({', '.join(wrong[:3])})"
        else:
            return
        raise RunError(
            f"{source}: cannot be used: {fault}. Train anew with a lower learning_rate or a smaller max_grad_norm, and "
            "look for extreme values in the data, which may need scaling."
        )

    @classmethod
    def read(cls, folder: Path, kind: "type[Estimator[Any, Any, Any]]") -> "Fitted[Any, Any]":
        """Read everything but the weights: the network is as it was before training.

        Raises:
            RunError: the folder holds no run of this task, or it is damaged.
        """
        values = read_run(folder, kind.task)
        try:
            learned_values = json.loads((folder / _LEARNED).read_text(encoding="utf-8"))
            tensors = load_checkpoint(folder / _TENSORS).tensors if values["tensors"] else {}
            estimator = kind(**_from_json(values["options"]))
            reading = None
            if kind.Reading is not None and values["reading"] is not None:
                reading = kind.Reading(**_from_json(values["reading"]))
            learned = kind.learned_class.from_json(learned_values, tensors)
            return estimator.assemble(learned, reading, values["data"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder}: damaged run.json or {_LEARNED} ({error!r})") from error


def _from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _overflows(weights: nn.Parameter) -> bool:
    """Whether the square of one of the weights is not finite."""
    return bool(weights.square().isinf().any())
