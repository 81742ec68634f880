"""What `inspect` shows of a language model."""

import unicodedata
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.tasks.language.reader import AnyFitted

__all__ = ["view"]

_STRETCHES = 32
_STEPS = 100

_LOOKED_AT_ONE = "1 stretch of {steps} {unit}s of {source}, read from a state of zeros"
_LOOKED_AT = "{count} stretches of {steps} {unit}s, spread over {source}, each read from a state of zeros"


def view(fitted: AnyFitted, codes: Tensor, source: str, row: int | None, name: str) -> View:
    """What `inspect` shows of a language model; see `LanguageModel.view`."""
    stretches = _stretches(codes, source).to(fitted.device)
    shown = 1 if row is None else row
    if not 1 <= shown <= len(stretches):
        raise ParameterError("row", f"1 to {len(stretches)}, one of the stretches of {source}", row)
    read, target = stretches[:, :-1], stretches[:, -1]

    def surprise(output: Any, target: Tensor = target) -> Tensor:
        return fitted.network.surprise(output[0][:, -1], target)

    here = slice(shown - 1, shown)

    return View(
        (read,),
        _words(fitted, stretches, shown, source, name),
        loss=lambda output: surprise(output).sum(),
        sequence=shown - 1,
        output=lambda output: -surprise(output),
        reads="recurrent",
        alone=((read[here],), lambda output: -surprise(output, target[here])),
    )


def _stretches(codes: Tensor, source: str) -> Tensor:
    """Stretches (N, T + 1) spread over a text, the token to predict last."""
    length = min(_STEPS + 1, len(codes))
    if length < 3:
        raise DataError(f"{source}: {length} tokens, expected at least 3 to look at")
    count = min(_STRETCHES, len(codes) // length)
    starts = np.linspace(0, len(codes) - length, count).round().astype(int)
    return torch.stack([codes[start : start + length] for start in starts.tolist()])


def _words(fitted: AnyFitted, stretches: Tensor, shown: int, source: str, name: str) -> Words:
    options, tokens = fitted.options, fitted.learned.tokens
    pieces = tokens.pieces(stretches[shown - 1].tolist())
    labels = [_visible(piece, tokens.unit) for piece in pieces]
    text = "".join(pieces[:-1]).strip("\n").replace("\n", " ⏎ ")
    count, steps = len(stretches), stretches.shape[1] - 1
    facts = {
        "run": name,
        "network": f"{options['num_layers']} x {options['cell']} of {options['hidden_size']} units, which read "
        f"embeddings of {fitted.network.embedding.embedding_dim}; {len(tokens):,} {tokens.unit}s",
        "looked at": (_LOOKED_AT_ONE if count == 1 else _LOOKED_AT).format(
            count=count, steps=steps, unit=tokens.unit, source=source
        ),
        "plotted": f"stretch {shown}: “{text}”, followed by {labels[-1]}",
        "inputs": f"a {tokens.unit} is not a number: gradients and attributions are with respect "
        "to its embedding, and what is taken away becomes the mean embedding of what was read",
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a language model",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of the {tokens.unit} that follows",
        output=f"log-probability of the {tokens.unit} that follows",
        plotted=f"log-probability of {labels[-1]}, which follows",
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
