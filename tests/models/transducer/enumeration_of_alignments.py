"""The transducer's loss by its definition: every alignment of an utterance, one after another."""

from itertools import combinations_with_replacement

import torch
from torch import Tensor

__all__ = ["enumerated_loss", "ragged"]


def enumerated_loss(logits: Tensor, labels: list[int], frames: int, blank: int) -> Tensor:
    """-log p of the labels from logits (T, U + 1, V): the sum over the frames at which each label is emitted."""
    log_probs = logits.double().log_softmax(-1)
    if frames == 0:
        return log_probs.new_tensor(torch.inf if labels else 0.0)
    totals = []
    for emitted in combinations_with_replacement(range(frames), len(labels)):
        total = logits.new_zeros((), dtype=torch.float64)
        for u, t in enumerate(emitted):
            total = total + log_probs[t, u, labels[u]]
        for t in range(frames):
            total = total + log_probs[t, sum(at <= t for at in emitted), blank]
        totals.append(total)
    return -torch.stack(totals).logsumexp(0)


def ragged(seed: int, frames: list[int], counts: list[int], symbols: int, blank: int) -> tuple[Tensor, Tensor]:
    """Padded logits (B, T, U + 1, V) float64, NaN where no node is, and labels (B, U), -7 beyond the lengths."""
    generator = torch.Generator().manual_seed(seed)
    steps, most = max(frames), max(counts)
    logits = 2 * torch.randn(len(frames), steps, most + 1, symbols, generator=generator, dtype=torch.float64)
    targets = torch.randint(symbols - 1, (len(frames), most), generator=generator)
    targets += targets >= blank
    for b, (t, u) in enumerate(zip(frames, counts, strict=True)):
        logits[b, t:] = torch.nan
        logits[b, :, u + 1 :] = torch.nan
        targets[b, u:] = -7
    return logits, targets
