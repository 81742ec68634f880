"""A piece as a picture of its piano roll, and as a page that plays it and shows how surprising each note is."""

import html
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator

from recurra.data.music.piece import Piece
from recurra.data.music.pitches import pitch_name
from recurra.figures import write_figure
from recurra.files import prepare_folder, write_text

__all__ = ["PieceSurprise", "plot_roll", "write_page"]

_BLUE, _GREY, _STRIPE = "#1f5fa8", "#8a8a8a", "#f2f4f7"
_BLACK_KEYS = (1, 3, 6, 8, 10)
_BARS_PER_INCH = 1.5
_STEP, _ROW, _LEFT, _CURVE = 9, 8, 34, 80  # pixels of a page: a frame, a pitch, the names of octaves, the curve below
_MOST_NATS = 8.0  # of a note, from which on it has the strongest colour


class PieceSurprise(NamedTuple):
    """How surprising a piece is to a model.

    Attributes:
        notes: the surprise of each note in nats (K,).
        frames: that of each frame (T,).
        mean: nats a frame, or a note, on average.
        unit: what `mean` is of.
    """

    notes: np.ndarray
    frames: np.ndarray
    mean: float
    unit: Literal["frame", "note"] = "frame"


def plot_roll(piece: Piece, original: np.ndarray, title: str, path: Path) -> None:
    """Plot the notes of a piece over its bars.

    Args:
        piece: what is plotted.
        original: which of its notes were there before, bool (K,): they are grey.
        title: of the picture.
        path: of the PNG file.

    Raises:
        RunError: the file cannot be written.
    """
    bar = piece.grid.steps_per_bar
    bars = max(piece.length / bar, 1)
    low, high = (int(piece.notes[:, 2].min()) - 2, int(piece.notes[:, 2].max()) + 2) if len(piece.notes) else (58, 74)
    figure = Figure(figsize=(min(max(bars / _BARS_PER_INCH, 5), 20), min(max((high - low) / 9, 2.4), 7)))
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK_KEYS:
            ax.axhspan(pitch - 0.5, pitch + 0.5, color=_STRIPE, linewidth=0)
    for chosen, color, label in ((~original, _BLUE, "generated"), (original, _GREY, "original")):
        if chosen.any():
            boxes = [
                Rectangle((start / bar, pitch - 0.42), (end - start) / bar, 0.84)
                for start, end, pitch in piece.notes[chosen].tolist()
            ]
            ax.add_collection(PatchCollection(boxes, facecolor=color, edgecolor="white", linewidth=0.6, label=label))
    ax.set(xlim=(0, bars), ylim=(low - 0.5, high + 0.5), xlabel="bar")
    ax.set_title(title, loc="left")
    ax.xaxis.set_major_locator(MultipleLocator(max(1, round(bars / 16))))
    ax.grid(axis="x", color="#d8dbe0", linewidth=0.8)
    ax.set_axisbelow(True)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    ax.set_yticks(octaves, [pitch_name(pitch) for pitch in octaves])
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if original.any() and not original.all():
        boxes = [Rectangle((0, 0), 1, 1, color=color) for color in (_GREY, _BLUE)]
        ax.legend(boxes, ["original", "generated"], loc="lower right", ncols=2, frameon=False, bbox_to_anchor=(1, 1))
    write_figure(figure, path)


def write_page(piece: Piece, surprise: PieceSurprise, title: str, path: Path) -> None:
    """Write a page that plays a piece, and shows its notes in the colour of their surprise; it needs no network.

    Args:
        piece: what is shown.
        surprise: of its notes and of its frames.
        title: of the page.
        path: of the HTML file.

    Raises:
        RunError: the file cannot be written.
    """
    low, high = (int(piece.notes[:, 2].min()) - 1, int(piece.notes[:, 2].max()) + 1) if len(piece.notes) else (59, 73)
    roll, bar = (high - low + 1) * _ROW, piece.grid.steps_per_bar
    width, height = _LEFT + piece.length * _STEP, roll + _CURVE
    shapes = []
    for pitch in range(low, high + 1):
        y = (high - pitch) * _ROW
        if pitch % 12 in _BLACK_KEYS:
            shapes.append(f'<rect class="key" x="{_LEFT}" y="{y}" width="{width - _LEFT}" height="{_ROW}"/>')
        if pitch % 12 == 0:
            shapes.append(f'<text x="2" y="{y + _ROW}">{pitch_name(pitch)}</text>')
    shapes += [
        f'<line class="bar" x1="{_LEFT + frame * _STEP}" x2="{_LEFT + frame * _STEP}" y1="0" y2="{roll}"/>'
        for frame in range(0, piece.length + 1, bar)
    ]
    for (start, end, pitch), nats in zip(piece.notes.tolist(), surprise.notes.tolist(), strict=True):
        words = f"{pitch_name(pitch)}, bar {start // bar + 1}: {nats:.2f} nats"
        shapes.append(
            f'<rect class="note" data-start="{start}" data-end="{end}" data-pitch="{pitch}" fill="{_color(nats)}" '
            f'x="{_LEFT + start * _STEP}" y="{(high - pitch) * _ROW + 1}" width="{(end - start) * _STEP - 1}" '
            f'height="{_ROW - 2}"><title>{words}</title></rect>'
        )
    by_frame = surprise.frames
    most = max(float(by_frame.max()) if len(by_frame) else 0.0, 1.0)
    points = " ".join(
        f"{_LEFT + (frame + 0.5) * _STEP:g},{height - 4 - (_CURVE - 16) * nats / most:.1f}"
        for frame, nats in enumerate(by_frame.tolist())
    )
    shapes.append(f'<polyline points="{points}"/><text x="2" y="{roll + 16}">{most:.0f}</text>')
    shapes.append(f'<text x="2" y="{height - 4}">0</text>')
    page = _PAGE
    times = ",".join(f"{second:.4g}" if second < 10 else f"{second:.3f}" for second in piece.seconds.tolist())
    for name, value in (
        ("width", width), ("height", height), ("left", _LEFT), ("step", _STEP), ("mean", f"{surprise.mean:.2f}"),
        ("unit", surprise.unit), ("times", times), ("most", f"{_MOST_NATS:g}"), ("expected", _color(0)),
        ("surprising", _color(_MOST_NATS)), ("shapes", "\n".join(shapes)), ("title", html.escape(title)),
    ):  # fmt: skip
        page = page.replace(f"{{{name}}}", str(value))
    prepare_folder(path.parent)
    write_text(path, page)


def _color(nats: float) -> str:
    """From blue for a note that was expected to red for one that was not."""
    strength = min(nats / _MOST_NATS, 1.0)
    ends = zip((31, 95, 168), (208, 52, 38), strict=True)
    return "#" + "".join(f"{round(low + strength * (high - low)):02x}" for low, high in ends)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: #222; background: #fff }
h1 { font-size: 1.2rem }
div { overflow-x: auto; border: 1px solid #ddd }
text { font: 10px system-ui, sans-serif; fill: #555 }
.bar { stroke: #c9ced6 }
.key { fill: #f2f4f7 }
.note { rx: 2px }
polyline { fill: none; stroke: #8a4a1f; stroke-width: 1.2 }
#head { stroke: #111; stroke-width: 2 }
#scale { display: inline-block; width: 9rem; height: .8rem; vertical-align: middle;
  background: linear-gradient(to right, {expected}, {surprising}) }
button { font: inherit; padding: .2rem 1.2rem }
</style>
</head>
<body>
<h1>{title}</h1>
<p><button id="play">Play</button> Surprise of a note: 0 <span id="scale"></span> {most} nats or more; the curve is that
of all notes of a frame. On average it is {mean} nats a {unit}. A pointer on a note shows its own.</p>
<div id="roll"><svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">
{shapes}
<line id="head" x1="{left}" x2="{left}" y1="0" y2="{height}"/>
</svg></div>
<script>
"use strict";
const notes = [...document.querySelectorAll(".note")].map(({ dataset }) =>
  ({ start: +dataset.start, end: +dataset.end, pitch: +dataset.pitch }));
const button = document.getElementById("play"), head = document.getElementById("head");
const roll = document.getElementById("roll");
// When each frame begins, in seconds; the last number is the end.
const times = [{times}];
let context = null;

function stop() {
  if (context) context.close();
  context = null;
  button.textContent = "Play";
  move(0);
}

function move(frame) {
  const x = {left} + frame * {step};
  head.setAttribute("x1", x);
  head.setAttribute("x2", x);
  if (x < roll.scrollLeft || x > roll.scrollLeft + 0.8 * roll.clientWidth) {
    roll.scrollLeft = x - 0.2 * roll.clientWidth;
  }
}

function play() {
  const playing = context = new AudioContext(), begin = playing.currentTime + 0.1;
  const volume = playing.createGain();
  volume.gain.value = 0.15;
  volume.connect(playing.destination);
  for (const note of notes) {
    const tone = playing.createOscillator(), envelope = playing.createGain();
    const from = begin + times[note.start], to = begin + times[note.end];
    tone.type = "triangle";
    tone.frequency.value = 440 * 2 ** ((note.pitch - 69) / 12);
    envelope.gain.setValueAtTime(0, from);
    envelope.gain.linearRampToValueAtTime(1, from + 0.01);
    envelope.gain.setTargetAtTime(0.4, from + 0.01, 0.3);
    envelope.gain.setTargetAtTime(0, to, 0.03);
    tone.connect(envelope).connect(volume);
    tone.start(from);
    tone.stop(to + 0.2);
  }
  button.textContent = "Stop";
  let frame = 0;
  (function follow() {
    if (context !== playing) return;
    const now = playing.currentTime - begin;
    while (frame + 1 < times.length && times[frame + 1] <= now) frame += 1;
    if (frame + 1 >= times.length) return stop();
    move(frame + Math.max(now - times[frame], 0) / (times[frame + 1] - times[frame]));
    requestAnimationFrame(follow);
  })();
}

button.addEventListener("click", () => context ? stop() : play());
</script>
</body>
</html>
"""
