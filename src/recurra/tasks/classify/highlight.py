"""An explained text, each token on a colour of what it adds: for a terminal and as an HTML page."""

import html
from collections.abc import Iterator

import numpy as np

from recurra.tasks.classify.explain import Explanation
from recurra.text_table import shown_text

__all__ = ["colored_text", "contribution_lines", "explanation_page"]

# From little to much, for the label and against it, on a light and on a dark background: xterm's 256 colours.
_FOR = (195, 159, 117, 75)
_AGAINST = (230, 223, 216, 209)
# Shares of the largest contribution at which a colour begins.
_LEVELS = (0.1, 0.25, 0.5, 0.75)
_RESET = "\x1b[0m"


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
    """The tokens that add most, for or against, a line each, in the order of the text."""
    values = explanation.contributions
    kept = np.sort(np.argsort(-np.abs(values), kind="stable")[:most])
    largest = float(np.abs(values).max()) or 1.0
    words = [shown_text(explanation.pieces[k].text) for k in kept]
    shown = [word if len(word) <= 24 else f"{word[:23]}…" for word in words]
    width = max(map(len, shown), default=0)
    lines = []
    for word, k in zip(shown, kept, strict=True):
        bar = round(20 * abs(float(values[k])) / largest)
        lines.append(f"  {word.ljust(width)}  {values[k]:+7.2f}  {('+' if values[k] > 0 else '-') * bar}".rstrip())
    left = len(values) - len(kept)
    if left:
        lines.append(f"  ({left:,} other tokens, together {np.delete(values, kept).sum():+.2f})")
    return lines


def explanation_page(explanation: Explanation, title: str) -> str:
    """A page with the text, each token on its colour, which a pointer reads out."""
    largest = float(np.abs(explanation.contributions).max()) or 1.0
    body = ""
    for text, share in _parts(explanation):
        escaped = html.escape(text)
        if share == 0:
            body += escaped
            continue
        color = "31,95,168" if share > 0 else "214,104,32"
        body += (
            f'<span style="background:rgba({color},{0.75 * abs(share) ** 0.8:.2f})" title="{share * largest:+.2f}">'
            f"{escaped}</span>"
        )
    return _PAGE.format(
        title=html.escape(title),
        label=html.escape(explanation.label),
        probability=f"{100 * explanation.probability:.1f}",
        before=f"{explanation.baseline_log_odds:+.2f}",
        after=f"{explanation.log_odds:+.2f}",
        residual=f"{explanation.residual:+.2f}",
        body=body,
    )


def _parts(explanation: Explanation) -> Iterator[tuple[str, float]]:
    """The whole text in parts, each with its contribution as a share of the largest; 0 for what is no token."""
    text = explanation.text or ""
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


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif;
  color: #222; background: #fff }}
h1 {{ font-size: 1.2rem }}
.text {{ font-size: 1.15rem; line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere }}
.text span {{ border-radius: 3px; padding: .1em 0 }}
.key span {{ border-radius: 3px; padding: .1em .4em }}
</style>
</head>
<body>
<h1>{title}</h1>
<p><b>{label}</b>, probability {probability} %. Each token's colour is what it adds to the log-odds of this label:
<span class="key"><span style="background:rgba(31,95,168,.6)">for</span>
<span style="background:rgba(214,104,32,.6)">against</span></span>. Together they lead from {before}, a text of as many
unknown words, to {after} (unexplained: {residual}).</p>
<p class="text">{body}</p>
</body>
</html>
"""
