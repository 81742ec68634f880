"""CTC by its definition: every path of symbols through the frames."""

import math
from itertools import groupby, product

import torch
from torch import Tensor

__all__ = ["best_paths", "collapse", "text_log_probs"]


def collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """The labels of a path: repeated symbols as one, then without blanks."""
    return tuple(symbol for symbol, _ in groupby(path) if symbol != blank)


def text_log_probs(log_probs: Tensor, blank: int) -> dict[tuple[int, ...], float]:
    """log p of every labelling (T, V), the sum over its paths."""
    steps, symbols = log_probs.shape
    values = log_probs.double().tolist()
    sums: dict[tuple[int, ...], list[float]] = {}
    for path in product(range(symbols), repeat=steps):
        labels = collapse(path, blank)
        sums.setdefault(labels, []).append(sum(values[t][symbol] for t, symbol in enumerate(path)))
    return {
        labels: float(torch.tensor(each, dtype=torch.float64).logsumexp(0))
        for labels, each in sums.items()
        if max(each) > -math.inf
    }


def best_paths(log_probs: Tensor, labels: tuple[int, ...], blank: int) -> tuple[float, list[tuple[int, ...]]]:
    """The highest log-probability of a single path of some labels, and the paths that have it."""
    steps, symbols = log_probs.shape
    values = log_probs.double().tolist()
    best, paths = -math.inf, []
    for path in product(range(symbols), repeat=steps):
        if collapse(path, blank) != labels:
            continue
        score = sum(values[t][symbol] for t, symbol in enumerate(path))
        if score > best + 1e-9:
            best, paths = score, [path]
        elif score > best - 1e-9:
            paths.append(path)
    return best, paths
