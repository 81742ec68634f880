"""Look inside a trained language model."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra import inspection
from recurra.data.files.text_file import read_text
from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection, Words, report_inspection
from recurra.tasks.language.language_model import LanguageModel

__all__ = ["inspect", "inspect_language_model"]

_STRETCHES = 32
_STEPS = 100


def inspect(folder: Path, data: str | None = None, row: int | None = None, out: Path | None = None) -> str:
    """Inspect a run, and write the page, its pictures and tables.

    Args:
        folder: of the run.
        data: a text file; the run's validation text, or where there is none its training text, where None.
        row: as of `inspect_language_model`.
        out: where they go; `inspection` in the run where None.

    Returns:
        What to print.

    Raises:
        RunError: where the folder is no such run.
        DataError: where the text cannot be used.
        ParameterError: for a stretch that there is not.
    """
    text = None if data is None else read_text(data)
    found = inspect_language_model(LanguageModel.load(folder), text, row, str(folder), data or "")
    return report_inspection(found, folder / "inspection" if out is None else out)


def inspect_language_model(
    model: LanguageModel, text: str | None = None, row: int | None = None, name: str = "", source: str = ""
) -> Inspection:
    """Inspect a fitted language model on stretches of a text, spread over it, each read from a state of zeros.

    The loss is the surprise of the token that follows a stretch; the output attributed is its log-probability, and what
    it is attributed to are the embeddings of the tokens before.

    Args:
        model: fitted.
        text: any; where None the validation text given to `fit`, or where there is none the training text.
        row: which of the stretches to draw, from 1; the first where None.
        name: of the run, for the page.
        source: of the text, for the page.

    Raises:
        RunError: where it is not fitted.
        DataError: where the text is too short.
        ParameterError: for a stretch that there is not.
    """
    fitted = model.model
    if text is None:
        part = "valid" if "valid" in model.parts else "train"
        codes, source = model.parts[part].codes, {"valid": "the validation text", "train": "the training text"}[part]
    else:
        codes, source = model.tokens.encode(text).codes, source or "the text given"
    stretches = _stretches(codes, source).to(fitted.device)
    drawn = 1 if row is None else row
    if not 1 <= drawn <= len(stretches):
        raise ParameterError("row", f"1 to {len(stretches)}, one of the stretches of {source}", row)
    read, target = stretches[:, :-1], stretches[:, -1]
    network = fitted.network

    def surprise(output: Any) -> Tensor:
        return network.surprise(output[0][:, -1], target)

    return inspection.inspect(
        network,
        read,
        loss=lambda output: surprise(output).sum(),
        sequence=drawn - 1,
        output=lambda output: -surprise(output),
        reads="recurrent",
        words=_words(model, stretches, drawn, source, name),
    )


def _stretches(codes: Tensor, source: str) -> Tensor:
    """Stretches (N, T + 1) spread over a text, the token to predict last."""
    length = min(_STEPS + 1, len(codes))
    if length < 3:
        raise DataError(f"{source}: {length} tokens, expected at least 3 to look at")
    count = min(_STRETCHES, len(codes) // length)
    starts = np.linspace(0, len(codes) - length, count).round().astype(int)
    return torch.stack([codes[start : start + length] for start in starts.tolist()])


def _words(model: LanguageModel, stretches: Tensor, drawn: int, source: str, name: str) -> Words:
    settings, tokens = model.settings, model.tokens
    pieces = tokens.pieces(stretches[drawn - 1].tolist())
    labels = [_visible(piece, tokens.unit) for piece in pieces]
    text = "".join(pieces[:-1]).strip("\n").replace("\n", " ⏎ ")
    count, steps = len(stretches), stretches.shape[1] - 1
    facts = {
        "run": name,
        "network": f"{settings.num_layers} x {settings.cell} of {settings.hidden_size} units, which read embeddings of "
        f"{settings.features}; {len(tokens):,} {tokens.unit}s",
        "looked at": f"{count} {'stretches' if count > 1 else 'stretch'} of {steps} {tokens.unit}s, spread over "
        f"{source}, each read from a state of zeros",
        "drawn": f"stretch {drawn}: “{text}”, followed by {labels[-1]}",
        "inputs": f"a {tokens.unit} is no number to take a derivative by: gradients and attributions are with respect "
        "to its embedding, and what is taken away becomes the mean embedding of what was read",
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a language model",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of the {tokens.unit} that follows",
        output=f"log-probability of the {tokens.unit} that follows",
        drawn=f"log-probability of {labels[-1]}, which follows",
        unit="nats",
        first_step=1,
        step=tokens.unit,
        labels=labels[:-1],
        mean="the mean embedding",
    )


def _visible(piece: str, unit: str) -> str:
    """A token with white space that can be seen."""
    if unit == "word":
        piece = piece.removeprefix(" ")
    shown = piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    # A byte of a character that is not complete yet has no text.
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in shown) or "·"
