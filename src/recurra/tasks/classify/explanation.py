"""What each token of a text, or step of a series, adds to a label: computed, shown in a terminal, written."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from recurra.data.labelled.series_encoding import SeriesEncoding, Steps
from recurra.data.labelled.text_encoding import TextEncoding
from recurra.data.text.tokenization import Piece, cut
from recurra.data.text.word_encoding import UNKNOWN, Tokens
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.inspection import Attribution, integrated_gradients
from recurra.inspection.document import document, help_element, picture_element
from recurra.inspection.pictures.style import BLACK, save
from recurra.inspection.pictures.values import Curve, Picture, Values
from recurra.task import Result
from recurra.task.label_pictures import shown_names
from recurra.tasks.classify.network import FittedClassifier, log_odds
from recurra.text_table import one_line, shown_text

__all__ = [
    "Explanation",
    "colored_text",
    "contribution_lines",
    "draw_series_explanation",
    "explain_series",
    "explain_text",
    "explanation_page",
]

_POINTS = 32
_UNEXPLAINED = 0.005
_STEPS_SHOWN = 10
_MOST_CHANNELS = 12
_AGAINST_AND_FOR = LinearSegmentedColormap.from_list("against and for", ["#d66820", "white", "#1f5fa8"])
# From little to much, for the label and against it, on a light and on a dark background: xterm's 256 colours.
_FOR = (195, 159, 117, 75)
_AGAINST = (230, 223, 216, 209)
# Fractions of the largest contribution at which a colour begins.
_LEVELS = (0.1, 0.25, 0.5, 0.75)
_RESET = "\x1b[0m"
_STYLE = """
.text { max-width: 46rem; font-size: 1.15rem; line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere; }
.text span { border-radius: 3px; padding: .1em 0; }
.key span { border-radius: 3px; padding: .1em .4em; }
"""
_KEY = (
    '<span class="key"><span style="background:rgba(31,95,168,.6)">for</span> '
    '<span style="background:rgba(214,104,32,.6)">against</span></span>'
)


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """Contributions to the log-odds of a label, that is log p / (1 - p).

    Integrated gradients (Sundararajan et al. 2017) from a text of unknown words, or a series of means only (of zeros if
    series are not normalised), of the same length: contributions and `residual` add up to the difference of the
    log-odds.

    Attributes:
        label: the label, as text.
        probability: of the label, calibrated.
        item: the text; None for a series.
        pieces: its tokens.
        series: (T, C); None for a text.
        contributions: of each token (T,), or of each step and channel (T, C), in nats.
        log_odds: of the label.
        baseline_log_odds: of the label, for the text or series that is compared with.
        residual: the part of the difference that contributions leave unexplained.
        channels: names of the series' channels.
        compared: the text or series that is compared with, in words.
    """

    label: str
    probability: float
    item: str | None
    pieces: tuple[Piece, ...]
    series: np.ndarray | None
    contributions: np.ndarray
    log_odds: float
    baseline_log_odds: float
    residual: float
    channels: tuple[str, ...] = ()
    compared: str = "a text of unknown words"

    def text(self, color: bool = False) -> Iterator[str]:
        lines = [f"{one_line(self.label)}, probability {100 * self.probability:.1f} %"]
        if self.item is not None:
            lines += ["", colored_text(self)] if color else []
            lines += ["", "what tokens add to its log-odds:", *contribution_lines(self)]
        else:
            steps = self.contributions.sum(1)
            largest = np.sort(np.argsort(-np.abs(steps), kind="stable")[:_STEPS_SHOWN])
            shown = ", ".join(f"{k + 1} ({steps[k]:+.2f})" for k in largest)
            lines.append(f"steps that add most to its log-odds, of {len(steps):,}: {shown}")
        lines += [
            "",
            f"log-odds {self.log_odds:+.2f}, of {self.compared} {self.baseline_log_odds:+.2f}; "
            f"unexplained {self.unexplained:+.2f}",
        ]
        yield "\n".join(lines) + "\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write a page (.html), of a series also the picture on it (.png), beside the page; see `Result.write`."""
        target = Path(path)
        endings = (".html",) if self.series is None else (".html", ".png")
        if target.suffix not in endings:
            raise ParameterError("out", f"a file ending in {' or '.join(endings)}", str(target))
        prepare_folder(target.parent)
        page = target.with_suffix(".html")
        if self.item is not None:
            write_text(page, explanation_page(self, " ".join(self.item.split())[:60]))
            return [page]
        picture = draw_series_explanation(self, target.with_suffix(".png"))
        write_text(page, explanation_page(self, f"A series of {len(self.contributions):,} steps", picture))
        return [page, picture.path]

    def default_path(self, folder: Path) -> Path:
        return folder / "explanation.html"

    @property
    def unexplained(self) -> float:
        """The residual, rounded before it is shown: a negative zero becomes 0."""
        return round(self.residual, 2) + 0.0


def explain_text(model: FittedClassifier, text: str, label: str | None = None) -> Explanation:
    """Explain a text; the likeliest label if none is named."""
    encoding = model.learned.encoding
    assert isinstance(encoding, TextEncoding)
    tokens = model.learned.encode([text]).batch(np.array([0])).to(model.device)
    assert isinstance(tokens, Tokens)
    unknown = replace(
        tokens,
        words=torch.zeros_like(tokens.words),
        character_lengths=torch.zeros_like(tokens.character_lengths),
        vectors=None if tokens.vectors is None else torch.zeros_like(tokens.vectors),
        evidence=None if tokens.evidence is None else torch.zeros_like(tokens.evidence),
    )
    with torch.no_grad():
        model.network.eval()
        features, baseline = model.network.features(tokens), model.network.features(unknown)
    index, probability = _label(model, features, tokens.lengths, label)
    attribution = integrated_gradients(
        _log_odds(model, index, tokens.lengths), [features], [baseline], points=_POINTS, tolerance=_UNEXPLAINED
    )
    pieces = tuple(cut(text, encoding.tokenization, encoding.max_length)) or (Piece(UNKNOWN, 0, 0),)
    return _explanation(model, index, probability, text, pieces, None, attribution.by_step[0], attribution)


def explain_series(model: FittedClassifier, series: np.ndarray, label: str | None = None) -> Explanation:
    """Explain a series (T, C); the likeliest label if none is named."""
    steps = model.learned.encode([series]).batch(np.array([0])).to(model.device)
    assert isinstance(steps, Steps)
    index, probability = _label(model, steps.values, steps.lengths, label)
    function = _log_odds(model, index, steps.lengths)
    encoding, baseline = model.learned.encoding, torch.zeros_like(steps.values)
    assert isinstance(encoding, SeriesEncoding)
    if encoding.timed:
        # Both series have the same times, to which nothing is attributed.
        baseline[:, :, -1] = steps.values[:, :, -1]
    attribution = integrated_gradients(function, [steps.values], [baseline], points=_POINTS, tolerance=_UNEXPLAINED)
    # The feature that marks a missing value belongs to its channel.
    count = encoding.num_values
    values = attribution.values[0][0][:, : encoding.size - encoding.timed].reshape(len(series), -1, count).sum(1)
    series = series[:, :count]
    return _explanation(model, index, probability, None, (), series, values, attribution)


def _label(model: FittedClassifier, features: Tensor, lengths: Tensor, label: str | None) -> tuple[int, float]:
    with torch.no_grad():
        probabilities = model.learned.probabilities(model.network.classifier(features, lengths)[0].cpu().numpy())[0]
    index = int(probabilities.argmax()) if label is None else model.learned.labels.names[label]
    return index, float(probabilities[index])


def _log_odds(model: FittedClassifier, index: int, lengths: Tensor) -> Callable[[Tensor], Tensor]:
    def function(features: Tensor) -> Tensor:
        logits = model.network.classifier(features, lengths)[0] / model.learned.temperature
        return log_odds(
            logits, torch.full((len(logits),), index, device=logits.device), model.learned.labels.multi_label
        )

    return function


def _explanation(
    model: FittedClassifier,
    index: int,
    probability: float,
    text: str | None,
    pieces: tuple[Piece, ...],
    series: np.ndarray | None,
    contributions: np.ndarray,
    attribution: Attribution,
) -> Explanation:
    learned = model.learned
    compared, channels = "a text of unknown words", ()
    if isinstance(learned.encoding, SeriesEncoding):
        channels = learned.encoding.channels[: learned.encoding.num_values]
        zeros = learned.encoding.normalization == "none"
        compared = f"a series of {'zeros' if zeros else 'means'} only"
    return Explanation(
        learned.labels.names.symbols[index],
        probability,
        text,
        pieces,
        series,
        contributions,
        float(attribution.output[0]),
        float(attribution.baseline_output[0]),
        float(attribution.residual[0]),
        channels,
        compared,
    )


def colored_text(explanation: Explanation) -> str:
    """The text in the escape codes of a terminal: blue for the label, orange against it."""
    parts = []
    for text, contribution in _parts(explanation):
        strength = sum(abs(contribution) >= level for level in _LEVELS)
        shown = shown_text(text)
        if strength:
            color = (_FOR if contribution > 0 else _AGAINST)[strength - 1]
            shown = f"\x1b[38;5;16;48;5;{color}m{shown}{_RESET}"
        parts.append(shown)
    return "".join(parts)


def contribution_lines(explanation: Explanation, most: int = 12) -> list[str]:
    """The tokens that add most, for or against, one line each, in the order of the text."""
    values = explanation.contributions
    top = np.sort(np.argsort(-np.abs(values), kind="stable")[:most])
    largest = float(np.abs(values).max()) or 1.0
    words = [shown_text(explanation.pieces[k].text) for k in top]
    shown = [word if len(word) <= 24 else f"{word[:23]}…" for word in words]
    width = max(map(len, shown), default=0)
    lines = []
    for word, k in zip(shown, top, strict=True):
        bar = round(20 * abs(float(values[k])) / largest)
        lines.append(f"  {word.ljust(width)}  {values[k]:+7.2f}  {('+' if values[k] > 0 else '-') * bar}".rstrip())
    left = len(values) - len(top)
    if left:
        lines.append(f"  ({left:,} other tokens, together {np.delete(values, top).sum():+.2f})")
    return lines


def explanation_page(explanation: Explanation, title: str, picture: Picture | None = None) -> str:
    """A page with the text, each token on its colour, or with the picture of a series; a pointer reads the numbers.

    Args:
        explanation: what is shown.
        title: of the page, as text.
        picture: of a series; None: a text is explained.
    """
    text = picture is None
    compared = "a text of as many unknown words" if text else explanation.compared
    parts = [
        f"<p><b>{html.escape(explanation.label)}</b>, probability {100 * explanation.probability:.1f} %. The colour "
        f"of each {'token' if text else 'step'} is what it adds to the log-odds of this label: {_KEY}. Together they "
        f"lead from {explanation.baseline_log_odds:+.2f}, {compared}, to {explanation.log_odds:+.2f} "
        f"(unexplained: {explanation.unexplained:+.2f}).</p>"
    ]
    if picture is None:
        parts.append(f'<p class="text">{_colored_html(explanation)}</p>')
    else:
        left = len(explanation.channels) - _MOST_CHANNELS
        if left > 0:
            parts.append(f"<p>The {_MOST_CHANNELS} channels that add most are shown, and {left:,} are not.</p>")
        described = "Each channel over its steps, on the colours of what the steps add to the log-odds."
        parts += [help_element(), picture_element(picture, title, described)]
    return document(title, parts, _STYLE, pictures=not text)


def _colored_html(explanation: Explanation) -> str:
    largest = float(np.abs(explanation.contributions).max()) or 1.0
    body = ""
    for text, fraction in _parts(explanation):
        escaped = html.escape(text)
        if fraction == 0:
            body += escaped
            continue
        color = "31,95,168" if fraction > 0 else "214,104,32"
        strength = 0.75 * abs(fraction) ** 0.8
        body += (
            f'<span style="background:rgba({color},{strength:.2f})" title="{fraction * largest:+.2f}">{escaped}</span>'
        )
    return body


def _parts(explanation: Explanation) -> Iterator[tuple[str, float]]:
    """The whole text in parts, each with its contribution as a fraction of the largest; 0 outside of tokens."""
    text = explanation.item or ""
    largest = float(np.abs(explanation.contributions).max()) or 1.0
    done = 0
    for piece, contribution in zip(explanation.pieces, explanation.contributions, strict=True):
        if piece.start > done:
            yield text[done : piece.start], 0.0
        if piece.end > piece.start:
            yield text[piece.start : piece.end], float(contribution) / largest
        done = piece.end
    rest = text[done:]
    if rest.strip():
        rest = f" … ({len(rest):,} characters more are not read)"
    if rest:
        yield rest, 0.0


def draw_series_explanation(explanation: Explanation, path: Path) -> Picture:
    """Draw a series, each step of each channel on a colour of what it adds to the label, into a PNG file.

    Args:
        explanation: of a series; beyond 12 channels those that add most are plotted.
        path: of the file.

    Returns:
        The picture, and what it says of each step of each channel.
    """
    assert explanation.series is not None
    contributions = explanation.contributions
    top = np.sort(np.argsort(-np.abs(contributions).sum(0), kind="stable")[:_MOST_CHANNELS])
    largest = float(np.abs(contributions).max()) or 1.0
    figure = Figure(figsize=(8, 1.2 + 1.1 * len(top)), layout="constrained")
    panels = figure.subplots(len(top), 1, sharex=True, squeeze=False)[:, 0]
    steps = np.arange(1, len(contributions) + 1)
    image, points = None, [f"step {step}" for step in steps]
    readings = {}
    names = shown_names([_channel_name(explanation.channels[k]) for k in top], [f"channel {k + 1}" for k in top])
    for ax, channel, name in zip(panels, top, names, strict=True):
        values = explanation.series[:, channel]
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        margin = 0.1 * (high - low) or 0.5
        image = ax.imshow(
            contributions[:, channel][None],
            aspect="auto",
            cmap=_AGAINST_AND_FOR,
            vmin=-largest,
            vmax=largest,
            extent=(0.5, len(steps) + 0.5, low - margin, high + margin),
            interpolation="nearest",
        )
        marker = "." if len(steps) <= 60 else None
        ax.plot(steps, values, color=BLACK, linewidth=1.1, marker=marker, markersize=4)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", parse_math=False)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        curves = Curve("value", values, BLACK), Curve("adds to the log-odds", contributions[:, channel])
        readings[ax] = Values(
            points, steps, curves, heading=f"{one_line(_channel_name(explanation.channels[channel]))}: "
        )
    panels[-1].set_xlabel("step")
    (label,) = shown_names([explanation.label], ["the label"])
    title = f"{label}, probability {100 * explanation.probability:.1f} %"
    panels[0].set_title(title, loc="left", fontsize=10, parse_math=False)
    assert image is not None
    figure.colorbar(image, ax=list(panels), label="adds to the log-odds (for: above 0)", aspect=40, pad=0.01)
    return save(figure, path, readings)


def _channel_name(name: str) -> str:
    return f"channel {name}" if name.isdigit() else name
