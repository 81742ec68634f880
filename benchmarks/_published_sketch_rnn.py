"""The recipe of Ha and Eck (2018) as their program has it, in plain torch: the baseline of `draw_sheep`.

A layer-normalised LSTM whose four gates are normalised by themselves, as is the memory before the output; recurrent
dropout of the candidate (Semeniuta et al. 2016); 20 mixtures with exp and tanh; drawings padded to the longest, the pen
also predicted in the padding; Adam with a decaying rate, gradients clipped by value. With codes: a bidirectional LSTM
of 256 units, 128 numbers of a code, and a divergence that is annealed and has a floor.
"""

import json
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.data.drawings.augmentation import merged, stretched
from recurra.files import write_atomically

__all__ = ["Published", "Surprise", "train_published"]

HIDDEN, ENCODER, CODE, MIXTURES, BATCH = 512, 256, 128, 20, 100
_EPS = 1e-6
_PROGRESS = ("step", "best", "chosen", "validated", "stepping")


@dataclass(frozen=True)
class Surprise:
    """Sums over drawings, in nats: offsets, pen, ends and divergences of codes."""

    offset: float
    pen: float
    end: float
    divergence: float


class LayerNormCell(nn.Module):
    """One step of the layer-normalised LSTM of the program."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.x = nn.Linear(input_size, 4 * HIDDEN, bias=False)
        self.h = nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)
        nn.init.xavier_uniform_(self.x.weight)
        for block in self.h.weight.chunk(4):
            nn.init.orthogonal_(block)
        self.gamma, self.beta = nn.Parameter(torch.ones(4, HIDDEN)), nn.Parameter(torch.zeros(4, HIDDEN))
        self.memory = nn.LayerNorm(HIDDEN)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        gates = (self.x(x) + self.h(h)).unflatten(1, (4, HIDDEN))
        i, j, f, o = (F.layer_norm(gates, (HIDDEN,)) * self.gamma + self.beta).unbind(1)
        candidate = F.dropout(j.tanh(), 0.1, self.training)
        c = c * (f + 1).sigmoid() + i.sigmoid() * candidate
        return self.memory(c).tanh() * o.sigmoid(), c


class Published(nn.Module):
    """The decoder alone, or with an encoder if `codes`."""

    def __init__(self, codes: bool) -> None:
        super().__init__()
        self.codes = codes
        self.cell = LayerNormCell(5 + (CODE if codes else 0))
        self.output = nn.Linear(HIDDEN, 3 + 6 * MIXTURES)
        if codes:
            self.forward_encoder = nn.LSTM(5, ENCODER, batch_first=True)
            self.backward_encoder = nn.LSTM(5, ENCODER, batch_first=True)
            self.posterior = nn.Linear(2 * ENCODER, 2 * CODE)
            nn.init.normal_(self.posterior.weight, std=1e-3)
            self.initial = nn.Linear(CODE, 2 * HIDDEN)

    def forward(self, points: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Raw outputs (B, T, F) for points (B, T + 1, 5), the origin first, and the divergence of each code (B,)."""
        inputs = points[:, :-1]
        zeros = points.new_zeros(len(points), HIDDEN)
        state, divergence = (zeros, zeros), points.new_zeros(len(points))
        if self.codes:
            mean, log_variance = self.posterior(self._encoded(points[:, 1:], lengths)).chunk(2, 1)
            code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
            divergence = -(1 + log_variance - mean.square() - log_variance.exp()).sum(1) / 2
            first, second = self.initial(code).tanh().chunk(2, 1)
            state = (first, second)
            inputs = torch.cat([inputs, code.unsqueeze(1).expand(-1, inputs.shape[1], -1)], 2)
        outputs = []
        for x in inputs.unbind(1):
            state = self.cell(x, state)
            outputs.append(state[0])
        return self.output(torch.stack(outputs, 1)), divergence

    def _encoded(self, points: Tensor, lengths: Tensor) -> Tensor:
        """The last state of each direction (B, 2 * ENCODER).

        The gradients of torch's packed sequences take thirteen times as long on a CPU as those of two layers that read
        padded drawings, one of them reversed, with the same results.
        """
        steps, rows = torch.arange(points.shape[1]), torch.arange(len(points))
        within = steps < lengths.unsqueeze(1)
        reversed_steps = torch.where(within, lengths.unsqueeze(1) - 1 - steps, steps)
        backward = points.gather(1, reversed_steps.unsqueeze(2).expand_as(points))
        layers = ((self.forward_encoder, points), (self.backward_encoder, backward))
        return torch.cat([layer(read)[0][rows, lengths - 1] for layer, read in layers], 1)


def parts(raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """-log p of offsets and of the pen (B, T), as the program computes them."""
    pen, pi, mx, my, sx, sy, rho = raw.split([3, *[MIXTURES] * 6], -1)
    sx, sy, rho = sx.exp(), sy.exp(), rho.tanh()
    zx, zy = (target[..., 0:1] - mx) / sx, (target[..., 1:2] - my) / sy
    rest = 1 - rho.square()
    z = zx.square() + zy.square() - 2 * rho * zx * zy
    density = (-z / (2 * rest)).exp() / (2 * math.pi * sx * sy * rest.sqrt())
    offset = -((pi.softmax(-1) * density).sum(-1) + _EPS).log()
    return offset, -(target[..., 2:] * pen.log_softmax(-1)).sum(-1)


def padded(strokes: list[np.ndarray], longest: int) -> Tensor:
    """Drawings (B, longest + 2, 5): the origin, the points, and the end to the last step."""
    points = torch.zeros(len(strokes), longest + 2, 5)
    points[:, :, 4] = 1
    points[:, 0] = torch.tensor([0.0, 0, 1, 0, 0])
    for row, one in enumerate(strokes):
        points[row, 1 : len(one) + 1, :2] = torch.from_numpy(one[:, :2])
        points[row, 1 : len(one) + 1, 2] = torch.from_numpy(1 - one[:, 2])
        points[row, 1 : len(one) + 1, 3] = torch.from_numpy(one[:, 2])
        points[row, 1 : len(one) + 1, 4] = 0
    return points


def train_published(
    training: list[np.ndarray], validation: list[np.ndarray], test: list[np.ndarray], codes: bool, seconds: float,
    seed: int, saved: Path,
) -> tuple[Surprise, int, float]:  # fmt: skip
    """Train for so many seconds of processor time; the best weights by validation data at tenths of the time.

    At each tenth all that training needs is saved; where `saved` is there already, training continues from it.

    Returns:
        The surprise of the test drawings, the number of steps, and the seconds of a step.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network = Published(codes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    longest = max(map(len, training))
    begun, step, best, chosen, validated = time.process_time(), 0, math.inf, network.state_dict(), 0
    stepping = 0.0
    if saved.is_file():
        state = torch.load(saved, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch"])
        generator.bit_generator.state = json.loads(state["numpy"])
        step, best, chosen, validated, stepping = (state[name] for name in _PROGRESS)
        begun -= state["spent"]
    while (spent := time.process_time() - begun) < seconds:
        since = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = (1e-3 - 1e-5) * 0.9999**step + 1e-5
        rows = generator.choice(len(training), BATCH, replace=False)
        strokes = [merged(stretched(training[row], 0.15, generator), 0.1, generator) for row in rows]
        points = padded(strokes, longest)
        raw, divergence = network.train()(points, torch.tensor([len(one) for one in strokes]))
        offset, pen = parts(raw, points[:, 1:])
        loss = (offset * (1 - points[:, 1:, 4])).mean() + pen.mean()
        if codes:
            weight = 0.5 * (1 - 0.99 * 0.99995**step)
            loss = loss + weight * (divergence.mean() / CODE).clamp(min=0.2)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        stepping += time.process_time() - since
        if spent > (validated + 1) * seconds / 10:
            validated += 1
            sums = surprise(network, validation)
            score = (sums.offset + sums.pen + sums.end) / sum(map(len, validation))
            score += 0.5 * sums.divergence / len(validation) / CODE
            if score < best:
                best, chosen = score, {name: value.clone() for name, value in network.state_dict().items()}
            state = dict(zip(_PROGRESS, (step, best, chosen, validated, stepping), strict=True))
            state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"torch": torch.get_rng_state(), "numpy": json.dumps(generator.bit_generator.state)}
            write_atomically(saved, partial(torch.save, state | {"spent": time.process_time() - begun}))
    if math.isfinite(best):
        network.load_state_dict(chosen)
    return surprise(network, test), step, stepping / step


@torch.no_grad()
def surprise(network: Published, drawings: list[np.ndarray]) -> Surprise:
    """The sums over drawings, without padding."""
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    ordered = sorted(drawings, key=len)
    for first in range(0, len(ordered), BATCH):
        strokes = ordered[first : first + BATCH]
        lengths = torch.tensor([len(one) for one in strokes])
        points = padded(strokes, int(lengths.max()))
        raw, divergence = network(points, lengths)
        offset, pen = parts(raw, points[:, 1:])
        steps = torch.arange(raw.shape[1])
        within, ends = steps < lengths.unsqueeze(1), steps == lengths.unsqueeze(1)
        sums += torch.stack([offset[within].double().sum(), pen[within].double().sum(), pen[ends].double().sum(),
                             divergence.double().sum()])  # fmt: skip
    return Surprise(*sums.tolist())
