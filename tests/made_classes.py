"""Small texts and series whose labels follow from a word, or from their shape."""

import random

import numpy as np

FILLERS = ["the", "film", "was", "seen", "by", "all", "of", "us", "today"]
WORDS = {"good": ["great", "lovely", "superb"], "bad": ["awful", "dull", "poor"]}


def texts(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Such as "film great by us": one word among some others decides."""
    chance = random.Random(seed)
    found, labels = [], []
    for k in range(count):
        label = ("good", "bad", "bad")[k % 3]
        words = chance.choices(FILLERS, k=chance.randint(0, 6))
        words.insert(chance.randint(0, len(words)), chance.choice(WORDS[label]))
        found.append(" ".join(words))
        labels.append(label)
    return found, labels


def several(count: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Texts with each of "good" and "bad" or not, and with both labels, one or none."""
    chance = random.Random(seed)
    found, labels = [], []
    for k in range(count):
        kept = [label for bit, label in enumerate(("bad", "good")) if k >> bit & 1]
        words = [*chance.choices(FILLERS, k=chance.randint(1, 5)), *(chance.choice(WORDS[label]) for label in kept)]
        chance.shuffle(words)
        found.append(" ".join(words))
        labels.append(kept)
    return found, labels


def series(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Of two channels and 4 to 9 steps: at the end the second goes up and down, or down and up."""
    generator = np.random.default_rng(seed)
    found, labels = [], []
    for k in range(count):
        label = ("up", "down")[k % 2]
        steps = int(generator.integers(4, 10))
        values = 0.2 * generator.normal(size=(steps, 2)) + 5
        values[-2:, 1] += (2, -2) if label == "up" else (-2, 2)
        found.append(values)
        labels.append(label)
    return found, labels


def series_csv(count: int, seed: int = 0) -> str:
    """`series` as a table with a row a step."""
    lines = ["id,time,level,change,label"]
    for k, (values, label) in enumerate(zip(*series(count, seed), strict=True)):
        lines += [f"s{k},{step},{a:.4f},{b:.4f},{label}" for step, (a, b) in enumerate(values)]
    return "\n".join(lines) + "\n"


def texts_csv(count: int, seed: int = 0) -> str:
    """`texts` as a table."""
    return "\n".join(["text,label", *map(",".join, zip(*texts(count, seed), strict=True))]) + "\n"


def several_csv(count: int, seed: int = 0) -> str:
    """`several` as a table, with | between labels."""
    rows = [f"{text},{'|'.join(labels)}" for text, labels in zip(*several(count, seed), strict=True)]
    return "\n".join(["text,label", *rows]) + "\n"
