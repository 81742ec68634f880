"""The decoder that reads targets or its own predictions, beside a loop over single steps."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import covering
from agreement import assert_agree, gradients
from every_cell import CELLS, fitting, traits
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.models import FeedbackDecoder


def make(cell: Cell | None = None, **options: Any) -> FeedbackDecoder:
    """A decoder of pairs of numbers, which are fed back as they are."""
    cell = cells.GRU() if cell is None else cell
    decoder = Recurrent(cell, 2, fitting(cell, 4), **{"num_layers": 2, "batch_first": True, **options})
    return FeedbackDecoder(decoder, nn.Linear(decoder.output_size, 2), lambda prediction: prediction).double()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def step_by_step(module: FeedbackDecoder, inputs: Tensor, forced: Tensor, steps: int, hx: Any = None) -> Any:
    """What the module should do: each step alone, `forced` (B, S) saying who reads the target."""
    predictions: list[Tensor] = []
    for t in range(steps):
        fed = inputs[:, t] if t == 0 else module.feed(predictions[-1])
        if 0 < t < inputs.shape[1]:
            fed = torch.where(forced[:, t : t + 1], inputs[:, t], fed)
        output, hx = module.decoder(fed.unsqueeze(1), hx)
        predictions.append(module.readout(output).squeeze(1))
    return torch.stack(predictions, 1), hx


@covering.parametrize({"cell": CELLS, "ratio": [0, 1]}, strength=1, traits={"cell": traits})
def test_all_forced_and_free_running_are_the_loop(cell: Cell, ratio: float) -> None:
    module, inputs = make(cell), draw(3, 5, 2)
    _, hx = module.decoder(draw(3, 2, 2))
    expected = step_by_step(module, inputs, torch.full((3, 5), bool(ratio)), 7, hx)
    actual = module(inputs, hx, ratio, steps=7)
    assert_agree(actual, expected)
    wanted = [inputs, *module.parameters()]
    assert_agree(gradients(actual, wanted), gradients(expected, wanted))


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 3), st.floats(0.01, 0.99), st.booleans())
def test_any_mixture_is_the_loop(batch: int, given_steps: int, more: int, ratio: float, batch_first: bool) -> None:
    module, inputs = make(), draw(batch, given_steps, 2)
    module.decoder.batch_first = batch_first
    read: list[Tensor] = []
    hook = module.decoder.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    actual = module(inputs, None, ratio, steps=given_steps + more)
    hook.remove()
    seen = torch.cat([segment if batch_first else segment.transpose(0, 1) for segment in read], 1)
    assert seen.shape[1] == given_steps + more
    # A step read the target or the prediction before it, each sequence for itself.
    forced = (seen[:, :given_steps] == inputs).all(2)
    assert forced[:, 0].all()
    own = ~torch.cat([forced, torch.zeros(batch, more, dtype=torch.bool)], 1)[:, 1:]
    assert torch.equal(seen[:, 1:][own], actual[0][:, :-1][own])
    module.decoder.batch_first = True
    assert_agree(actual, step_by_step(module, inputs, forced, given_steps + more))


def test_one_call_where_all_is_forced() -> None:
    module = make()
    calls: list[int] = []
    module.decoder.register_forward_pre_hook(lambda _, arguments: calls.append(arguments[0].shape[1]))
    module(draw(3, 9, 2))
    assert calls == [9]
    calls.clear()
    module(draw(3, 9, 2), None, 0.0)
    assert calls == [1] * 9
    calls.clear()
    torch.manual_seed(0)
    module(draw(1, 100, 2), None, 0.9)
    assert sum(calls) == 100
    assert 2 < len(calls) < 25


def test_the_ratio_is_the_share_of_steps_and_sequences() -> None:
    module = make(num_layers=1)
    module.feed = torch.zeros_like
    read: list[Tensor] = []
    module.decoder.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0].detach()))
    module(torch.ones(60, 51, 2, dtype=torch.float64), None, 0.3)
    forced = torch.cat(read, 1)[:, 1:, 0]
    assert forced.mean().item() == pytest.approx(0.3, abs=0.03)
    # Neither steps nor sequences go together.
    assert 0.1 < forced.mean(0).min() < forced.mean(0).max() < 0.6
    assert 0.05 < forced.mean(1).min() < forced.mean(1).max() < 0.6


def test_the_seed_decides() -> None:
    module, inputs = make(), draw(4, 8, 2)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(module(inputs, None, 0.5)[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    before = torch.get_rng_state()
    module(inputs)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_state_is_carried() -> None:
    module, inputs = make(cells.LSTM()), draw(3, 6, 2)
    whole, final = module(inputs)
    first, state = module(inputs[:, :4])
    second, last = module(inputs[:, 4:], state)
    assert_agree((torch.cat([first, second], 1), last), (whole, final))


def test_tokens_by_embedding_of_the_likeliest() -> None:
    embedding = nn.Embedding(5, 3)
    decoder = Recurrent(cells.GRU(), 3, 4, batch_first=True)
    module = FeedbackDecoder(decoder, nn.Linear(4, 5), lambda logits: embedding(logits.argmax(-1)))
    start = embedding(torch.zeros(2, 1, dtype=torch.long))
    logits, _ = module(start, steps=6)
    assert logits.shape == (2, 6, 5)
    tokens = logits.argmax(-1)
    forced, _ = module(torch.cat([start, embedding(tokens[:, :-1])], 1))
    torch.testing.assert_close(forced, logits)
    assert set(dict(module.named_parameters())) == {
        *(f"decoder.{name}" for name, _ in decoder.named_parameters()),
        "readout.weight",
        "readout.bias",
    }


def test_gradients_stop_where_feed_detaches() -> None:
    module, inputs = make(num_layers=1), draw(2, 1, 2)
    weights = list(module.readout.parameters())
    through = gradients(module(inputs, steps=4)[0][:, 1:], weights)
    module.feed = Tensor.detach
    stopped = gradients(module(inputs, steps=4)[0][:, 1:], weights)
    assert not torch.allclose(through[0], stopped[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teacher_forcing_ratio": 1.1}, r"^teacher_forcing_ratio: expected a number from 0 to 1, got 1\.1"),
        ({"steps": 4}, r"^steps: expected .* number .* 5, got 4"),
        ({"inputs": draw(3, 2)}, r"^inputs: expected shape \(B, S, J\) with S .* 1, got \(3, 2\)"),
        ({"inputs": draw(3, 0, 2)}, r"^inputs: expected shape \(B, S, J\) with S .* 1, got \(3, 0, 2\)"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ParameterError, ShapeError), match=message):
        make()(**{"inputs": draw(3, 5, 2), **arguments})


def test_a_bidirectional_decoder_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"^decoder: expected a Recurrent .* got 'a bidirectional one'"):
        make(bidirectional=True)
