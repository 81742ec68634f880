"""What a run of this task keeps: settings, tokens, and the texts as tokens."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch

from recurra.data.text.tokens import EncodedText, tokenization_from_json
from recurra.errors import DataError, RunError
from recurra.files import prepare_folder, write_text
from recurra.tasks.language.corpus import Corpus
from recurra.tasks.language.fitted import FittedModel
from recurra.tasks.language.settings import LanguageSettings
from recurra.training import Checkpoint, Run, load_checkpoint, read_run, save_checkpoint, write_run

__all__ = ["LanguageRun"]

_TASK = "language"
_DATA = "data.safetensors"
_TOKENS = "tokens.json"


@dataclass(frozen=True)
class LanguageRun(Run):
    """What `Run` is, of a language model.

    Attributes:
        model: its weights are in `best.safetensors`.
        parts: the texts by name, "train", "valid" and perhaps "test".
        source: where they are from.
        split: how they were parted, in words.
    """

    model: FittedModel
    parts: dict[str, EncodedText]
    source: str
    split: str

    @classmethod
    def of(cls, model: FittedModel, corpus: Corpus) -> Self:
        """A new run, of a model whose tokens the texts can be cut into.

        Raises:
            DataError: where one of the texts has too few.
        """
        parts = {part: model.tokens.encode(text) for part, text in corpus.texts.items()}
        for part, text in parts.items():
            if len(text.codes) < 2:
                raise DataError(f"{corpus.source}: the {part} text has {len(text.codes)} tokens, expected at least 2")
        return cls(model, parts, corpus.source, corpus.split)

    def write(self, folder: Path) -> None:
        prepare_folder(folder)
        tokens = self.model.tokens
        write_text(folder / _TOKENS, json.dumps(tokens.to_json(), ensure_ascii=False) + "\n")
        dtype = next(d for d in (torch.uint8, torch.int16, torch.int32) if len(tokens) <= torch.iinfo(d).max + 1)
        codes = {part: text.codes.to(dtype) for part, text in self.parts.items()}
        save_checkpoint(Checkpoint(codes), folder / _DATA)
        values = {
            "source": self.source,
            "split": self.split,
            "vocabulary": len(tokens),
            "texts": {part: {"tokens": len(text.codes), **text.counts} for part, text in self.parts.items()},
            "settings": asdict(self.model.settings),
        }
        write_run(folder, _TASK, values)

    @classmethod
    def read(cls, folder: Path) -> Self:
        values = read_run(folder, _TASK)
        try:
            tokens = tokenization_from_json(json.loads((folder / _TOKENS).read_text(encoding="utf-8")))
            model = FittedModel(LanguageSettings(**values["settings"]), tokens)
            codes = load_checkpoint(folder / _DATA).tensors
            parts = {}
            for part, counts in values["texts"].items():
                counts.pop("tokens")
                parts[part] = EncodedText(codes[part].to(torch.int64), **counts)
            return cls(model, parts, values["source"], values["split"])
        except OSError as error:
            raise RunError(f"{error.filename}: cannot be read ({error.strerror}); the run is damaged") from error
        except (KeyError, TypeError, json.JSONDecodeError, DataError) as error:
            raise RunError(f"{folder}: damaged run ({error!r})") from error

    def differences(self, given: Corpus) -> list[str]:
        parts = LanguageRun.of(self.model, given).parts
        same = parts.keys() == self.parts.keys() and all(
            parts[part].counts == text.counts and torch.equal(parts[part].codes, text.codes)
            for part, text in self.parts.items()
        )
        return [] if same else ["data"]
