"""An HTML document that needs no other file and no network; its pictures say their values where a reader points."""

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib import resources

from recurra.inspection import texts
from recurra.inspection.pictures.values import Picture

__all__ = ["document", "help_element", "image_element", "picture_element"]

_FILES = resources.files("recurra.inspection")
_STYLE, _SCRIPT = (_FILES.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))


def document(title: str, parts: Sequence[str], style: str = "", pictures: bool = True) -> str:
    """A whole document, light or dark as the reader's browser is.

    Args:
        title: of the window and at the top, as text.
        parts: what follows the title, as HTML; empty ones are left out.
        style: rules of CSS beside those that all documents share.
        pictures: whether it has pictures; without them it has no script.
    """
    head = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}{style}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    end = f"<script>{_SCRIPT}</script></body></html>" if pictures else "</body></html>"
    return "\n".join(filter(None, [*head, *parts, end])) + "\n"


def help_element() -> str:
    """How to read the values of pictures, which the script shows."""
    return f'<p class="help" hidden>{escape(texts.HELP)}</p>'


def image_element(content: bytes, description: str) -> str:
    """A picture within the document.

    Args:
        content: of a PNG file.
        description: what it shows, for those who do not see it.
    """
    image = base64.b64encode(content).decode()
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{image}">'


def picture_element(picture: Picture, title: str, description: str) -> str:
    """The picture itself, and what the script says of it.

    Args:
        picture: a file, and the values of its panels.
        title: of the picture.
        description: what it shows, for those who do not see it.
    """
    image = image_element(picture.path.read_bytes(), f"{title}. {description}")
    panels = json.dumps(picture.panels, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Within a script element HTML looks for its end alone.
    panels = panels.replace("<", "\\u003c")
    label = texts.VALUES_OF.format(title=title)
    return (
        f'<div class="picture" data-label="{escape(label)}">'
        f"{image}"
        f'<script type="application/json">{panels}</script></div>'
    )
