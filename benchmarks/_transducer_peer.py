"""The transducer's loss as three implementations compute it: time and memory of one training step in a process."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from recurra import joined_transducer_loss, transducer_loss

KINDS = ("plain torch", "torchaudio", "padded", "packed", "joined")


class Joiner(nn.Module):
    """The additive joiner of Graves et al. 2013."""

    def __init__(self, units: int, symbols: int) -> None:
        super().__init__()
        self.output = nn.Linear(units, symbols)

    def forward(self, frames: Tensor, predictions: Tensor) -> Tensor:
        return self.output(torch.tanh(frames + predictions))


def plain_loss(logits: Tensor, targets: Tensor, lengths: Tensor, counts: Tensor) -> Tensor:
    """The mean loss by a loop over the frames, each a prefix sum over labels: what one writes in torch."""
    log_probs = logits.log_softmax(-1)
    blank = log_probs[..., 0]
    label = log_probs[:, :, :-1].gather(3, targets.unsqueeze(1).unsqueeze(3).expand(-1, logits.shape[1], -1, 1))
    # Emitting the labels up to u at a frame: a cumulative sum.
    moved = torch.nn.functional.pad(label.squeeze(3).cumsum(2), (1, 0))
    alpha = moved[:, 0]
    alphas = [alpha]
    for t in range(1, logits.shape[1]):
        stayed = alpha + blank[:, t - 1]
        alpha = torch.logcumsumexp(stayed - moved[:, t], 1) + moved[:, t]
        alphas.append(alpha)
    rows = torch.arange(len(logits))
    ends = torch.stack(alphas, 1)[rows, lengths - 1, counts] + blank[rows, lengths - 1, counts]
    return -ends.mean()


def made(sizes: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Joiner]:
    """Frames, predictions, labels, lengths and a joiner; utterances of half the length to all of it."""
    batch, steps, most, symbols, units = sizes
    torch.manual_seed(0)
    frames = torch.randn(batch, steps, units, requires_grad=True)
    predictions = torch.randn(batch, most + 1, units, requires_grad=True)
    targets = torch.randint(1, symbols, (batch, most))
    lengths, counts = (torch.linspace(size / 2, size, batch).round().long() for size in (steps, most))
    return frames, predictions, targets, lengths, counts, Joiner(units, symbols)


def step_of(kind: str, sizes: list[int], alone: bool = False) -> Callable[[], tuple[float, Tensor]]:
    """One training step: the mean loss over the batch, and the gradient of the frames; `alone`: from logits that are
    there, and their gradient."""
    frames, predictions, targets, lengths, counts, join = made(sizes)

    def logits_of() -> Tensor:
        if kind != "packed":
            return join(frames.unsqueeze(2), predictions.unsqueeze(1))
        nodes = zip(frames, predictions, lengths.tolist(), counts.tolist(), strict=True)
        return torch.cat([join(f[:t].unsqueeze(1), p[: u + 1]).flatten(0, 1) for f, p, t, u in nodes])

    def loss(logits: Tensor | None) -> Tensor:
        if kind == "joined":
            return joined_transducer_loss(join, frames, predictions, targets, lengths, counts, reduction="none").mean()
        logits = logits_of() if logits is None else logits
        if kind in ("padded", "packed"):
            return transducer_loss(logits, targets, lengths, counts, reduction="none").mean()
        if kind == "torchaudio":
            import torchaudio  # pyright: ignore[reportMissingImports]

            integers = (part.int() for part in (targets, lengths, counts))
            return torchaudio.functional.rnnt_loss(logits, *integers, blank=0)
        return plain_loss(logits, targets, lengths, counts)

    ready = logits_of().detach().requires_grad_() if alone else None
    first = frames if ready is None else ready

    def step() -> tuple[float, Tensor]:
        for leaf in (first, predictions, *join.parameters()):
            leaf.grad = None
        result = loss(ready)
        result.backward()
        assert first.grad is not None
        return result.item(), first.grad

    return step


def main() -> None:
    kind, threads, seconds, *sizes = sys.argv[1:]
    torch.set_num_threads(int(threads))
    small = step_of(kind, [2, 5, 3, 7, 4])
    small()  # libraries and threads take their memory first
    step = step_of(kind, [int(size) for size in sizes])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loss, gradient = step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    result = {
        "seconds": _median_time(step, float(seconds)),
        "bytes": 1024 * peak,
        "loss": loss,
        "gradient": gradient.norm().item(),
    }
    if kind != "joined":
        result["alone"] = _median_time(step_of(kind, [int(size) for size in sizes], alone=True), float(seconds))
    print(json.dumps(result))


def _median_time(step: Callable[[], object], seconds: float) -> float:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
