"""What a run of this task keeps: settings, vocabularies, and a checksum of the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, RunError
from recurra.files import prepare_folder, write_atomically
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training import Run, read_run, write_run

__all__ = ["TranslationRun"]

_TASK = "translate"
_JOINT, _SOURCE, _TARGET = "subwords.model", "subwords-source.model", "subwords-target.model"


@dataclass(frozen=True)
class TranslationRun(Run):
    """What `Run` is, of a translator.

    Attributes:
        model: its weights are in `best.safetensors`.
        data: what it was trained on: names, numbers of pairs, checksums.
    """

    model: FittedModel
    data: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        prepare_folder(folder)
        model = self.model
        for name, subwords in _files(model.settings, model.source, model.target):
            write_atomically(folder / name, lambda aside, s=subwords: aside.write_bytes(s.to_bytes()))
        write_run(folder, _TASK, {"settings": asdict(model.settings), "data": dict(self.data)})

    @classmethod
    def read(cls, folder: Path) -> Self:
        values = read_run(folder, _TASK)
        try:
            settings, data = TranslationSettings(**values["settings"]), values["data"]
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{folder}: damaged run.json ({error!r})") from error
        if settings.joint_vocabulary:
            source = target = _load_subwords(folder / _JOINT)
        else:
            source, target = _load_subwords(folder / _SOURCE), _load_subwords(folder / _TARGET)
        return cls(FittedModel(settings, source, target), data)

    def differences(self, given: Mapping[str, Any]) -> list[str]:
        same = all(self.data[name] == given[name] for name in ("digest", "validation_digest"))
        return [] if same else ["data"]


def _files(settings: TranslationSettings, source: Subwords, target: Subwords) -> list[tuple[str, Subwords]]:
    return [(_JOINT, source)] if settings.joint_vocabulary else [(_SOURCE, source), (_TARGET, target)]


def _load_subwords(path: Path) -> Subwords:
    try:
        return Subwords(path.read_bytes())
    except (OSError, DataError) as error:
        raise RunError(f"{path}: the subword model cannot be read ({error})") from error
