"""What `inspect` shows of a language model."""

import unicodedata
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.language.reader import AnyFitted

__all__ = ["view"]

_STRETCHES = 32
_STEPS = 100

_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units read embeddings of {embedding_size} features and predict one of "
    "{tokens:,} {unit}s."
)
_LOOKED_AT_ONE = "1 stretch of {steps} {unit}s of {source} is looked at. It is read from a state of zeros."
_LOOKED_AT = (
    "{count} stretches of {steps} {unit}s, spread over {source}, are looked at. Each is read from a state of zeros."
)
_PLOTTED = "Stretch {row} is “{text}”. After it comes {following}."
_INPUTS = (
    "A {unit} is not a number. Gradients and attributions are with respect to its embedding, and a {unit} that is "
    "taken away becomes the mean embedding of what was read."
)


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
    return torch.stack([codes[start : start + length] for start in starts.tolist()]).long()


def _words(fitted: AnyFitted, stretches: Tensor, shown: int, source: str, name: str) -> Words:
    options, tokens = fitted.options, fitted.learned.tokens
    pieces = tokens.pieces(stretches[shown - 1].tolist())
    labels = [_visible(piece, tokens.unit) for piece in pieces]
    text = "".join(pieces[:-1]).strip("\n").replace("\n", " ⏎ ")
    count, steps = len(stretches), stretches.shape[1] - 1
    size = fitted.network.embedding.embedding_dim
    facts = {
        "run": name,
        "network": _NETWORK.format_map(
            {
                **options,
                "blocks": blocks_of(options),
                "embedding_size": size,
                "tokens": len(tokens),
                "unit": tokens.unit,
            }
        ),
        "looked at": (_LOOKED_AT_ONE if count == 1 else _LOOKED_AT).format(
            count=count, steps=steps, unit=tokens.unit, source=source
        ),
        "plotted": _PLOTTED.format(row=shown, text=text, following=labels[-1]),
        "inputs": _INPUTS.format(unit=tokens.unit),
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
