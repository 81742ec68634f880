"""Tokens with their surprise, as coloured text for a terminal and as an HTML page."""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from recurra.text_table import shown_text

__all__ = ["ScoredToken", "color_scale", "colored", "html_page", "legend", "mean_surprise", "whole_characters"]

# From expected to surprising, on a light and on a dark background: xterm's 256 colours.
_PALETTE = (230, 229, 222, 215, 209, 203, 196)
# Bits at which a colour begins; twice as many for words and subwords, of which there are more to choose from.
_LEVELS = (1, 2, 3, 4, 6, 8, 12)
_RESET = "\x1b[0m"


class ScoredToken(NamedTuple):
    """A token in its text.

    Attributes:
        id: its index in the vocabulary.
        text: as it is written there; "" for a byte whose character is not yet complete.
        surprise: -log p in nats, given all before it.
    """

    id: int
    text: str
    surprise: float

    @property
    def bits(self) -> float:
        """The surprise in bits."""
        return self.surprise / math.log(2)


def whole_characters(tokens: Iterable[ScoredToken]) -> Iterator[ScoredToken]:
    """The tokens to be shown, those of an incomplete character joined to the one that completes it.

    Control characters, which a model of bytes may generate, are shown as U+FFFD, because a terminal would obey them.
    """
    waiting = 0.0
    for token in tokens:
        if token.text:
            yield token._replace(text=shown_text(token.text), surprise=token.surprise + waiting)
            waiting = 0.0
        else:
            waiting += token.surprise


def colored(token: ScoredToken, scale: float = 1.0, bold: bool = False) -> str:
    """A token's text with its surprise as the background, in the escape codes of a terminal.

    Args:
        token: whose colour is chosen by its bits.
        scale: the bits are divided by it.
        bold: for the prompt, which was not generated.
    """
    level = sum(token.bits / scale >= bound for bound in _LEVELS)
    codes = (["1"] if bold else []) + ([f"38;5;16;48;5;{_PALETTE[level - 1]}"] if level else [])
    if not codes:
        return token.text
    start = f"\x1b[{';'.join(codes)}m"
    # The background would fill the rest of the line.
    return "\n".join(f"{start}{part}{_RESET}" if part else "" for part in token.text.split("\n"))


def legend(scale: float = 1.0) -> str:
    """What the colours of `colored` mean, for a terminal."""
    boxes = (
        f"\x1b[38;5;16;48;5;{color}m {bound * scale:g} {_RESET}" for color, bound in zip(_PALETTE, _LEVELS, strict=True)
    )
    return f"surprise in bits, from {''.join(boxes)} up"


def html_page(title: str, prompt: Iterable[ScoredToken], generated: Iterable[ScoredToken], unit: str) -> str:
    """A page with the text, each token on a colour of its surprise, which a pointer shows as a number.

    Args:
        title: of the page.
        prompt: underlined.
        generated: what follows it.
        unit: what a token is called.
    """
    before, rest = list(prompt), list(generated)
    scale = color_scale(unit)
    body = "".join(_span(token, scale, "prompt") for token in whole_characters(before))
    body += "".join(_span(token, scale, "") for token in whole_characters(rest))
    mean = mean_surprise(before, rest, unit).replace("prompt", "prompt (underlined)")
    return _PAGE.format(title=html.escape(title), mean=mean, body=body, most=f"{_LEVELS[-1] * scale:g}")


def mean_surprise(prompt: Sequence[ScoredToken], generated: Sequence[ScoredToken], unit: str) -> str:
    """How surprising a token was on average; for the arguments, see `html_page`."""
    means = [
        f"{name} {sum(token.bits for token in tokens) / len(tokens):.2f} bits a {unit}"
        for name, tokens in (("prompt", prompt), ("generated", generated))
        if tokens
    ]
    return "on average " + ", ".join(means) if means else "no text"


def color_scale(unit: str) -> float:
    """The number by which bits are divided to choose a colour."""
    return 1.0 if unit in ("character", "byte") else 2.0


def _span(token: ScoredToken, scale: float, kind: str) -> str:
    strength = min(token.bits / (_LEVELS[-1] * scale), 1.0) ** 0.7
    name = f' class="{kind}"' if kind else ""
    # A line end is marked, because it has no width.
    text = html.escape(token.text.replace("\n", "\u21b5\n"))
    text = text.replace("\u21b5", '<span class="end">\u21b5</span>')
    return f'<span{name} style="background:rgba(226,88,62,{strength:.2f})" title="{token.bits:.2f} bits">{text}</span>'


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.6 system-ui, sans-serif;
  color: #222; background: #fff }}
h1 {{ font-size: 1.2rem }}
pre {{ font: 15px/1.7 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere }}
pre span {{ border-radius: 2px }}
.prompt {{ text-decoration: underline }}
.end {{ color: #bbb }}
.bar {{ display: inline-block; width: 12rem; height: .8rem; vertical-align: middle; border: 1px solid #ddd;
  background: linear-gradient(to right, rgba(226,88,62,0), rgba(226,88,62,.62) 50%, rgba(226,88,62,1)) }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Surprise: 0 <span class="bar"></span> {most} bits or more. {mean}.</p>
<pre>{body}</pre>
</body>
</html>
"""
