"""What each token of a text, or step of a series, adds to a label."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.word_encoding import UNKNOWN, Tokens
from recurra.inspection import Attribution, integrated_gradients
from recurra.tasks.classify.encoding import Steps, TextEncoding
from recurra.tasks.classify.fitted import FittedClassifier
from recurra.tasks.classify.network import log_odds
from recurra.tasks.classify.pieces import Piece, cut

__all__ = ["Explanation", "explain_series", "explain_text"]

_POINTS = 32
_UNEXPLAINED = 0.005


@dataclass(frozen=True)
class Explanation:
    """Contributions to the log-odds of a label, that is log p / (1 - p).

    Integrated gradients (Sundararajan et al. 2017) from a text of unknown words, or a series of nothing but means (of
    zeros where series are not normalised), of the same length: contributions add up to the difference of the log-odds,
    but for `residual`.

    Attributes:
        label: which.
        probability: of it, calibrated.
        text: the text; None for a series.
        pieces: its tokens.
        series: (T, C); None for a text.
        contributions: of each token (T,), or of each step and channel (T, C), in nats.
        log_odds: of the label.
        baseline_log_odds: of the label, of what is compared with.
        residual: what contributions leave unexplained of the difference.
    """

    label: str
    probability: float
    text: str | None
    pieces: tuple[Piece, ...]
    series: np.ndarray | None
    contributions: np.ndarray
    log_odds: float
    baseline_log_odds: float
    residual: float


def explain_text(model: FittedClassifier, text: str, label: str | None = None) -> Explanation:
    """Explain a text; the likeliest label where None is named."""
    encoding = model.encoding
    assert isinstance(encoding, TextEncoding)
    tokens = model.encode([text]).batch(np.array([0])).to(model.device)
    assert isinstance(tokens, Tokens)
    unknown = replace(
        tokens,
        words=torch.zeros_like(tokens.words),
        character_lengths=torch.zeros_like(tokens.character_lengths),
        vectors=None if tokens.vectors is None else torch.zeros_like(tokens.vectors),
    )
    with torch.no_grad():
        model.network.eval()
        features, baseline = model.network.features(tokens), model.network.features(unknown)
    number, probability = _label(model, features, tokens.lengths, label)
    found = integrated_gradients(
        _log_odds(model, number, tokens.lengths), [features], [baseline], points=_POINTS, tolerance=_UNEXPLAINED
    )
    pieces = tuple(cut(text, encoding.split, encoding.max_length)) or (Piece(UNKNOWN, 0, 0),)
    return _explanation(model, number, probability, text, pieces, None, found.by_step[0], found)


def explain_series(model: FittedClassifier, series: np.ndarray, label: str | None = None) -> Explanation:
    """Explain a series (T, C); the likeliest label where None is named."""
    steps = model.encode([series]).batch(np.array([0])).to(model.device)
    assert isinstance(steps, Steps)
    number, probability = _label(model, steps.values, steps.lengths, label)
    function = _log_odds(model, number, steps.lengths)
    found = integrated_gradients(
        function, [steps.values], [torch.zeros_like(steps.values)], points=_POINTS, tolerance=_UNEXPLAINED
    )
    # What says that a value is missing belongs to its channel.
    values = found.values[0][0].reshape(len(series), -1, series.shape[1]).sum(1)
    return _explanation(model, number, probability, None, (), series, values, found)


def _label(model: FittedClassifier, features: Tensor, lengths: Tensor, label: str | None) -> tuple[int, float]:
    with torch.no_grad():
        shares = model.probabilities(model.network.classifier(features, lengths)[0].cpu().numpy())[0]
    number = int(shares.argmax()) if label is None else model.labels.names[label]
    return number, float(shares[number])


def _log_odds(model: FittedClassifier, number: int, lengths: Tensor) -> Callable[[Tensor], Tensor]:
    def function(features: Tensor) -> Tensor:
        logits = model.network.classifier(features, lengths)[0] / model.temperature
        return log_odds(logits, torch.full((len(logits),), number, device=logits.device), model.labels.several)

    return function


def _explanation(
    model: FittedClassifier,
    number: int,
    probability: float,
    text: str | None,
    pieces: tuple[Piece, ...],
    series: np.ndarray | None,
    contributions: np.ndarray,
    found: Attribution,
) -> Explanation:
    return Explanation(
        model.labels.names.symbols[number],
        probability,
        text,
        pieces,
        series,
        contributions,
        float(found.output[0]),
        float(found.baseline_output[0]),
        float(found.residual[0]),
    )
