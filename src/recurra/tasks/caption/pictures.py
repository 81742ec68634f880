"""What each word of a caption attends to, over the image: as a picture, and as a page."""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recurra.figures import write_figure
from recurra.files import prepare_folder, write_text

__all__ = ["Attended", "draw_attention", "write_page"]

_COLUMNS = 6
_LONGEST = 60  # characters of a line above an image
_SIDE = 320  # pixels of an image of the page
_WIDEST = 3  # such images: more frames side by side are smaller


@dataclass(frozen=True)
class Attended:
    """An image, and what each word of a caption attends to.

    Attributes:
        name: of the image.
        pixels: as the network reads it, uint8 (S, S, 3), or F frames side by side (S, F * S, 3).
        words: of the caption (T).
        weights: of each word over the grid, and perhaps of the end (T or T + 1, G, G), or (T or T + 1, G, F * G).
        reference: a caption that a person wrote; empty: none is known.
    """

    name: str
    pixels: np.ndarray
    words: Sequence[str]
    weights: np.ndarray
    reference: Sequence[str] = ()

    @property
    def frames(self) -> int:
        """F, which stand side by side."""
        return self.pixels.shape[1] // self.pixels.shape[0]

    @property
    def brightness(self) -> np.ndarray:
        """Of each word over the grid (T, G, F * G), 0 to 1: 1 at the cell with the most weight, 0 for no weight."""
        shown = self.weights[: len(self.words)]
        return shown / shown.max(axis=(1, 2), keepdims=True).clip(min=1e-12)


def draw_attention(images: Sequence[Attended], path: Path) -> None:
    """Draw each image, and then once for each word of its caption, bright where the word attends to.

    Args:
        images: one or more.
        path: of the PNG file.

    Raises:
        RunError: the file cannot be written.
    """
    wide = max(one.frames for one in images)
    most = max(_COLUMNS // wide, 1)
    rows = [-(-(len(one.words) + 1) // most) for one in images]
    columns = min(max(len(one.words) for one in images) + 1, most)
    size = (1.9 * columns * wide + 0.4, sum(2.1 * count + 0.6 for count in rows))
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(len(images), 1, squeeze=False, height_ratios=[2.1 * count + 0.6 for count in rows])[:, 0]
    for one, part, count in zip(images, parts, rows, strict=True):
        reference = f"\n{_short(' '.join(one.reference))} (a person's)" if one.reference else ""
        part.suptitle(f"{_short(' '.join(one.words))}{reference}", x=0.02, ha="left", fontsize=10)
        panels = part.subplots(count, columns, squeeze=False).ravel()
        for ax in panels:
            ax.axis("off")
        height, width = one.pixels.shape[:2]
        panels[0].imshow(one.pixels)
        panels[0].set_title(_short(one.name, 24), fontsize=8, color="#555555")
        for ax, word, bright in zip(panels[1:], one.words, one.brightness, strict=False):
            ax.imshow(one.pixels)
            # A veil that is thin where the word attends to.
            veil = np.zeros((*bright.shape, 4))
            veil[..., 3] = 0.85 * (1 - bright)
            ax.imshow(veil, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bilinear")
            ax.set_title(_escaped(word), fontsize=9)
    write_figure(figure, path, dpi=110)


def write_page(images: Sequence[Attended], path: Path) -> None:
    """Write a page on which a pointer on a word of a caption shows where it attends to; it needs no network.

    Args:
        images: one or more.
        path: of the HTML file.

    Raises:
        RunError: the file cannot be written.
    """
    sections = []
    for one in images:
        cells = [json.dumps(bright.ravel().round(3).tolist()) for bright in one.brightness]
        words = " ".join(
            f'<button type="button" data-cells="{own}">{html.escape(word)}</button>'
            for word, own in zip(one.words, cells, strict=True)
        )
        reference = f"<p>A person wrote: {html.escape(' '.join(one.reference))}</p>" if one.reference else ""
        sections.append(
            f'<section data-rows="{one.weights.shape[1]}" data-columns="{one.weights.shape[2]}">'
            f'<figure style="aspect-ratio: {one.frames}; width: {min(one.frames, _WIDEST) * _SIDE}px">'
            f'<img alt="{html.escape(one.name)}" src="{_data_url(one.pixels)}">'
            f'<canvas width="{one.frames * _SIDE}" height="{_SIDE}"></canvas></figure>'
            f'<div><h2>{html.escape(one.name)}</h2><p class="caption">{words or "No word was written."}</p>'
            f"{reference}</div></section>"
        )
    prepare_folder(path.parent)
    write_text(path, _PAGE.replace("{sections}", "\n".join(sections)))


def _data_url(pixels: np.ndarray) -> str:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _short(text: str, most: int = _LONGEST) -> str:
    return _escaped(text if len(text) <= most else f"{text[: most - 1]}…")


def _escaped(text: str) -> str:
    """Text in which a dollar sign does not begin a formula."""
    return text.replace("$", r"\$")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Captions</title>
<style>
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: #222; background: #fff }
h1 { font-size: 1.2rem }
h2 { font-size: .9rem; font-weight: normal; color: #555; margin: 0; overflow-wrap: anywhere }
section { display: flex; gap: 1.5rem; margin: 1.5rem 0; flex-wrap: wrap }
figure { position: relative; margin: 0; max-width: 100%; border: 1px solid #ddd }
img { width: 100%; height: 100%; display: block }
canvas { position: absolute; inset: 0; width: 100%; height: 100% }
section div { flex: 1; min-width: 16rem }
button { font: inherit; font-size: 1.15rem; border: 0; border-radius: 4px; background: #eef2f8; padding: .1rem .45rem;
  cursor: pointer }
button.on { background: #1f5fa8; color: #fff }
</style>
</head>
<body>
<h1>Captions</h1>
<p>A pointer on a word shows where the network looks when it writes that word: the image stays bright there.</p>
{sections}
<script>
"use strict";
for (const section of document.querySelectorAll("section")) {
  const rows = +section.dataset.rows, columns = +section.dataset.columns;
  const canvas = section.querySelector("canvas"), veil = canvas.getContext("2d");
  const small = new OffscreenCanvas(columns, rows), pixels = small.getContext("2d");
  const buttons = [...section.querySelectorAll("button")];

  function clear() {
    veil.clearRect(0, 0, canvas.width, canvas.height);
    for (const button of buttons) button.classList.remove("on");
  }

  function show(button) {
    clear();
    button.classList.add("on");
    const image = pixels.createImageData(columns, rows);
    JSON.parse(button.dataset.cells).forEach((bright, cell) => {
      image.data[4 * cell + 3] = Math.round(217 * (1 - bright));
    });
    pixels.putImageData(image, 0, 0);
    veil.imageSmoothingEnabled = true;
    veil.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  for (const button of buttons) {
    for (const event of ["mouseenter", "focus", "click"]) button.addEventListener(event, () => show(button));
    button.addEventListener("mouseleave", clear);
    button.addEventListener("blur", clear);
  }
}
</script>
</body>
</html>
"""
