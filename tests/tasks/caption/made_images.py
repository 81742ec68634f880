"""Images of walls with a window, and what is to be said of them."""

import json
from pathlib import Path

import numpy as np

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}
WINDOWS = {"small": 4, "big": 8}


def wall(colour: str, size: str, seed: int = 0) -> np.ndarray:
    """A wall of a colour, with a white window at a place that the seed chooses: uint8 (16, 16, 3)."""
    pixels, side = np.full((16, 16, 3), COLOURS[colour], np.uint8), WINDOWS[size]
    top, left = np.random.default_rng(seed).integers(0, 17 - side, 2).tolist()
    pixels[top : top + side, left : left + side] = 255
    return pixels


def walls(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[list[str]]]:
    """Images, and two captions of each."""
    kinds = [(colour, size) for colour in COLOURS for size in WINDOWS]
    images = [wall(*kinds[k % len(kinds)], seed=1000 * seed + k) for k in range(count)]
    captions = [
        [f"{colour}, with a {size} window", f"A {colour} wall."]
        for colour, size in (kinds[k % len(kinds)] for k in range(count))
    ]
    return images, captions


def write_walls(folder: Path, count: int) -> Path:
    """The same as PNG files and a file of JSON lines, whose last third is to validate and to test with."""
    from PIL import Image

    images, captions = walls(count)
    (folder / "images").mkdir(parents=True)
    lines = []
    for k, (pixels, texts) in enumerate(zip(images, captions, strict=True)):
        Image.fromarray(pixels).save(folder / "images" / f"{k}.png")
        part = "train" if 3 * k < 2 * count else ("dev", "test")[k % 2]
        lines.append(json.dumps({"image": f"{k}.png", "captions": texts, "split": part}) + "\n")
    path = folder / "captions.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path
