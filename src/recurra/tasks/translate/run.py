"""What a run of this task keeps: settings, vocabularies, and a checksum of the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recurra.data.subwords import Subwords
from recurra.errors import DataError, RecurraError, RunError
from recurra.files import prepare_folder, write_atomically
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training import load_checkpoint, read_run, write_run

__all__ = ["TASK", "TranslationRun", "load_translation_run", "load_weights", "save_translation_run"]

TASK = "translate"
_JOINT, _SOURCE, _TARGET = "subwords.model", "subwords-source.model", "subwords-target.model"


@dataclass
class TranslationRun:
    """A run folder's content, beside weights and log.

    Attributes:
        model: the weights are in `best.safetensors`.
        data: what it was trained on: names, numbers of pairs, checksums.
    """

    model: FittedModel
    data: Mapping[str, Any]


def save_translation_run(run: TranslationRun, folder: Path) -> None:
    """Write all but the weights.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    model = run.model
    for name, subwords in _files(model.settings, model.source, model.target):
        write_atomically(folder / name, lambda aside, s=subwords: aside.write_bytes(s.to_bytes()))
    write_run(folder, TASK, {"settings": asdict(model.settings), "data": dict(run.data)})


def load_translation_run(folder: Path) -> TranslationRun:
    """Read all but the weights.

    Raises:
        RunError: where the folder is not a run of this task, or is damaged.
        MissingExtraError: without sentencepiece.
    """
    values = read_run(folder, TASK)
    try:
        settings, data = TranslationSettings(**values["settings"]), values["data"]
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder}: damaged run.json ({error!r})") from error
    if settings.joint_vocabulary:
        source = target = _load_subwords(folder / _JOINT)
    else:
        source, target = _load_subwords(folder / _SOURCE), _load_subwords(folder / _TARGET)
    return TranslationRun(FittedModel(settings, source, target), data)


def load_weights(model: FittedModel, folder: Path) -> None:
    """Load the best weights of a run into its model.

    Raises:
        RunError: where they are missing or damaged.
    """
    path = folder / "best.safetensors"
    try:
        model.network.load_state_dict(load_checkpoint(path).group("model"))
    except RuntimeError as error:
        if isinstance(error, RecurraError):
            raise
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: not the weights of the model in run.json ({reason})") from error
    model.network.eval()


def _files(settings: TranslationSettings, source: Subwords, target: Subwords) -> list[tuple[str, Subwords]]:
    return [(_JOINT, source)] if settings.joint_vocabulary else [(_SOURCE, source), (_TARGET, target)]


def _load_subwords(path: Path) -> Subwords:
    try:
        return Subwords(path.read_bytes())
    except (OSError, DataError) as error:
        raise RunError(f"{path}: the subword model cannot be read ({error})") from error
