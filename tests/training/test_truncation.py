"""Truncated backpropagation through time: its gradients are those of a graph unrolled and cut by hand."""

import math
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from small_task import assert_same, rows, weights
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

import recurra
from recurra.data.batches.lanes import Lanes
from recurra.errors import ParameterError, RunError
from recurra.training import Batch, Trainer, TrainingInterruptedError, TrainingSettings, Truncation

B, N, H = 3, 24, 4
GRADIENTS_ONLY: dict[str, Any] = {
    "optimizer": "SGD",
    "learning_rate": 1e-30,
    "schedule": "constant",
    "clipping": "none",
    "averaging": 0.0,
    "health_every": 0,
}


@dataclass
class Held:
    """A state of a user's own type."""

    parts: dict[str, Tensor]
    steps: int = 0  # read so far, which makes the network quieter


class ManyToMany(nn.Module):
    """Reads (B, T, 2), answers (B, T, 1)."""

    def __init__(self, own_state: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder = recurra.LSTM(2, H, batch_first=True, dtype=torch.float64)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(H, 1, dtype=torch.float64)
        self.own_state = own_state

    def forward(self, x: Tensor, state: Any = None, resets: Tensor | None = None) -> tuple[Tensor, Any]:
        steps = 0
        if isinstance(state, Held):
            state, steps = (state.parts["h"], state.parts["c"]), state.steps
        output, state = self.encoder(x, state, resets=resets)
        if self.own_state:
            output = output / (1 + steps / 100)
            state = Held({"h": state[0], "c": state[1]}, steps + x.shape[1])
        return self.head(self.dropout(output)), state


def stream() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (B, N, 2), targets (B, N, 1), and boundaries in two of the three lanes (B, N)."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(B, N, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(B, N, 1, generator=generator, dtype=torch.float64)
    resets = torch.zeros(B, N, dtype=torch.bool)
    resets[0, [0, 5, 16]] = resets[2, [7, 8]] = True
    return x, y, resets


def segments(length: int, boundaries: bool) -> Any:
    x, y, resets = stream()

    def batches(number: int) -> Batch:
        at = slice((number - 1) * length, number * length)
        return Batch(x[:, at], y[:, at], B * length, resets[:, at] if boundaries else None)

    return batches


def gradients(module: nn.Module, updates: int, truncation: Truncation | None, batches: Any) -> list[list[Tensor]]:
    """The gradient of each update, by parameter; the weights stay as they are."""
    found: list[list[Tensor]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        found.append([p.grad.clone() for p in module.parameters() if p.grad is not None])

    hook = register_optimizer_step_pre_hook(note)
    try:
        settings = TrainingSettings(**GRADIENTS_ONLY, max_steps=updates)
        Trainer(module, F.mse_loss, batches, settings, truncation=truncation).fit()
    finally:
        hook.remove()
    return found


def unrolled(module: ManyToMany, first: int, last: int, cut: int, boundaries: bool) -> Tensor:
    """The loss of the steps `first` to before `last`, of the whole graph cut before step `cut`; the LSTM by hand."""
    x, y, resets = stream()
    weight_ih, weight_hh, bias_ih, bias_hh = module.encoder.parameters()
    h = c = torch.zeros(B, H, dtype=torch.float64)
    outputs = []
    for t in range(last):
        if t == cut:
            h, c = h.detach(), c.detach()
        if boundaries:
            h, c = (torch.where(resets[:, t, None], 0.0, part) for part in (h, c))
        i, f, g, o = (x[:, t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(module.head(h))
    return F.mse_loss(torch.stack(outputs[first:], dim=1), y[:, first:last])


@pytest.mark.parametrize("boundaries", [False, True])
@pytest.mark.parametrize(("length", "stride"), [(4, None), (1, None), (8, 4), (6, 2), (3, 1), (4, 8), (2, 6), (24, 4)])
def test_gradients_are_those_of_the_graph_cut_by_hand(length: int, stride: int | None, boundaries: bool) -> None:
    module = ManyToMany()
    truncation = Truncation(length, stride)
    segment, update = truncation.segment_length, stride or length
    found = gradients(module, N // update, truncation, segments(segment, boundaries))
    assert len(found) == N // update
    for number, grads in enumerate(found):
        firsts = range(number * update, (number + 1) * update, segment)
        losses = [unrolled(module, at, at + segment, at + segment - length, boundaries) for at in firsts]
        expected = torch.autograd.grad(torch.stack(losses).mean(), list(module.parameters()))
        for grad, one in zip(grads, expected, strict=True):
            torch.testing.assert_close(grad, one, rtol=1e-10, atol=1e-12)


def test_a_truncation_as_long_as_the_sequence_is_backpropagation_through_time() -> None:
    module = ManyToMany()
    truncated = gradients(module, 1, Truncation(N), segments(N, boundaries=False))
    whole = gradients(module, 1, None, segments(N, boundaries=False))
    torch.testing.assert_close(truncated[0], whole[0], rtol=1e-10, atol=1e-12)


def make_trainer(folder: Path | None, truncation: Truncation, own_state: bool, stop_at: int = 0) -> Trainer:
    given = segments(truncation.segment_length, boundaries=True)

    def batches(number: int) -> Batch:
        if number == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return given((number - 1) % (N // truncation.segment_length) + 1)

    settings = TrainingSettings(max_steps=10, learning_rate=0.05, validate_every=100)
    module = ManyToMany(own_state, dropout=0.3)
    return Trainer(module, F.mse_loss, batches, settings, folder=folder, truncation=truncation)


@pytest.mark.parametrize("own_state", [False, True])
@pytest.mark.parametrize(("length", "stride", "stop_at"), [(4, None, 5), (8, 4, 1), (8, 4, 5), (4, 8, 9)])
def test_resumed_with_the_state_it_carried(
    length: int, stride: int | None, stop_at: int, own_state: bool, tmp_path: Path
) -> None:
    truncation = Truncation(length, stride)
    make_trainer(tmp_path / "straight", truncation, own_state).fit()
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path / "run", truncation, own_state, stop_at).fit()
    make_trainer(tmp_path / "run", truncation, own_state).fit(resume=True)
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "straight"))
    assert rows(tmp_path / "run") == rows(tmp_path / "straight")


def test_another_truncation_is_not_resumed(tmp_path: Path) -> None:
    make_trainer(tmp_path, Truncation(4), own_state=False).fit()
    with pytest.raises(RunError, match=r"other settings \(truncation\)"):
        make_trainer(tmp_path, Truncation(8, 4), own_state=False).fit(resume=True)


@pytest.mark.parametrize("truncation", [Truncation(4), Truncation(12, 4)])
def test_a_batch_that_is_not_finite_is_skipped_once(truncation: Truncation) -> None:
    given = segments(4, boundaries=False)

    def batches(number: int) -> Batch:
        batch = given((number - 1) % 6 + 1)
        return Batch(batch.inputs * (math.inf if number == 2 else 1), batch.target, batch.weight)

    settings = TrainingSettings(max_steps=5, validate_every=100)
    result = Trainer(ManyToMany(), F.mse_loss, batches, settings, truncation=truncation).fit()
    assert result.skipped == 1


def test_segments_of_another_length_are_refused() -> None:
    lanes = Lanes.from_stream(torch.arange(100), segment_length=5, batch_size=2)
    with pytest.raises(ParameterError, match=r"truncation: expected .* segment_length = 4 steps, got 5"):
        Trainer(ManyToMany(), F.mse_loss, lanes, TrainingSettings(), truncation=Truncation(8, 4))


@pytest.mark.parametrize(("length", "stride"), [(0, None), (4, 0), (4, 3), (4, 6), (3, 4)])
def test_lengths_that_do_not_fit_are_refused(length: int, stride: int | None) -> None:
    with pytest.raises(ParameterError, match=r"truncation_length|stride"):
        Truncation(length, stride)
