"""What a run of this task keeps: settings, tokens, and the texts as tokens."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from recurra.data.tokens import EncodedText, tokenization_from_json
from recurra.errors import DataError, RunError
from recurra.files import prepare_folder, write_text
from recurra.tasks.language.fitted import FittedModel, settings_from_json
from recurra.training import Checkpoint, load_checkpoint, read_run, save_checkpoint, write_run

__all__ = ["TASK", "LanguageRun", "load_language_run", "load_weights", "save_language_run"]

TASK = "language"
_DATA = "data.safetensors"
_TOKENS = "tokens.json"


@dataclass
class LanguageRun:
    """A run folder's content, beside weights and log.

    Attributes:
        model: the weights are in `best.safetensors`.
        parts: the texts by name, "train", "valid" and perhaps "test".
        source: where they are from.
        split: how they were parted, in words.
    """

    model: FittedModel
    parts: dict[str, EncodedText]
    source: str
    split: str


def save_language_run(run: LanguageRun, folder: Path) -> None:
    """Write all but the weights.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    write_text(folder / _TOKENS, json.dumps(run.model.tokens.to_json(), ensure_ascii=False) + "\n")
    dtype = next(d for d in (torch.uint8, torch.int16, torch.int32) if len(run.model.tokens) <= torch.iinfo(d).max + 1)
    codes = {part: text.codes.to(dtype) for part, text in run.parts.items()}
    save_checkpoint(Checkpoint(codes), folder / _DATA)
    values = {
        "source": run.source,
        "split": run.split,
        "vocabulary": len(run.model.tokens),
        "texts": {part: {"tokens": len(text.codes), **text.counts} for part, text in run.parts.items()},
        "settings": run.model.settings_to_json(),
    }
    write_run(folder, TASK, values)


def load_language_run(folder: Path) -> LanguageRun:
    """Read all but the weights.

    Raises:
        RunError: where the folder is not a run of this task, or is damaged.
        MissingExtraError: for subwords without sentencepiece.
    """
    values = read_run(folder, TASK)
    try:
        tokens = tokenization_from_json(json.loads((folder / _TOKENS).read_text(encoding="utf-8")))
        model = FittedModel(settings_from_json(values["settings"]), tokens)
        codes = load_checkpoint(folder / _DATA).tensors
        parts = {}
        for part, counts in values["texts"].items():
            counts.pop("tokens")
            parts[part] = EncodedText(codes[part].to(torch.int64), **counts)
        return LanguageRun(model, parts, values["source"], values["split"])
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read ({error.strerror}); the run is damaged") from error
    except (KeyError, TypeError, json.JSONDecodeError, DataError) as error:
        raise RunError(f"{folder}: damaged run ({error!r})") from error


def load_weights(model: FittedModel, folder: Path) -> None:
    """Load the best weights of a run into its model.

    Raises:
        RunError: where they are missing or damaged.
    """
    path = folder / "best.safetensors"
    weights = load_checkpoint(path).group("model")
    try:
        model.network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: not the weights of the model in run.json ({reason})") from error
    model.network.eval()
