"""What a run of this task keeps."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from recurra.errors import RunError
from recurra.files import prepare_folder, write_text
from recurra.tasks.classify.baseline import Baseline
from recurra.tasks.classify.encoding import SeriesEncoding, TextEncoding
from recurra.tasks.classify.fitted import FittedClassifier
from recurra.tasks.classify.given import Reading
from recurra.tasks.classify.labels import LabelSet
from recurra.tasks.classify.settings import ClassifySettings
from recurra.training import Checkpoint, Run, load_checkpoint, read_run, save_checkpoint, write_run

__all__ = ["TASK", "ClassifyRun"]

TASK = "classify"
_ENCODING = "encoding.json"
_TENSORS = "tensors.safetensors"


@dataclass(frozen=True)
class ClassifyRun(Run):
    """A run folder's content, beside weights and log.

    Attributes:
        model: the weights are in `best.safetensors`.
        baseline: of the training data.
        reading: how the training file was read.
        data: facts of the data: source, items, and digests to know them by.
    """

    model: FittedClassifier
    baseline: Baseline
    reading: Reading
    data: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write all but the weights, `run.json` last.

        Raises:
            RunError: where the folder cannot be written.
        """
        prepare_folder(folder)
        model = self.model
        write_text(folder / _ENCODING, json.dumps(model.encoding.to_json(), ensure_ascii=False) + "\n")
        tensors = {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}
        if model.vectors is not None:
            tensors["vectors"] = model.vectors
        save_checkpoint(Checkpoint(tensors), folder / _TENSORS)
        values = {
            "settings": asdict(model.settings),
            "texts": model.reads_texts,
            "labels": model.labels.to_json(),
            "temperature": model.temperature,
            "reading": asdict(self.reading),
            "data": self.data,
        }
        write_run(folder, TASK, values)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read all but the weights.

        Raises:
            RunError: where the folder is not a run of this task, or is damaged.
        """
        values = read_run(folder, TASK)
        try:
            settings: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in values["settings"].items()
            }
            kind = TextEncoding if values["texts"] else SeriesEncoding
            encoding = kind.from_json(json.loads((folder / _ENCODING).read_text(encoding="utf-8")))
            tensors: dict[str, Tensor] = load_checkpoint(folder / _TENSORS).tensors
            model = FittedClassifier(
                ClassifySettings(**settings),
                encoding,
                LabelSet.from_json(values["labels"]),
                tensors.get("vectors"),
                float(values["temperature"]),
            )
            baseline = Baseline(tensors["baseline.weight"], tensors["baseline.bias"])
            return cls(model, baseline, Reading(**values["reading"]), values["data"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder}: damaged run.json or {_ENCODING} ({error!r})") from error

    def differences(self, given: tuple[dict[str, Any], Tensor | None]) -> list[str]:
        """What keeps this run from being resumed with other data: their facts, and pretrained vectors."""
        facts, other = given
        found = []
        if any(self.data[name] != facts[name] for name in ("digest", "validation_digest")):
            found.append("data")
        one = self.model.vectors
        same = one is other if one is None or other is None else torch.equal(one, other)
        if not same:
            found.append("vectors")
        return found
