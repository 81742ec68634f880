"""ConvRecurrent: against a loop written by hand, against Recurrent where a map is a point, and itself in pieces."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d

import covering
from agreement import assert_agree, gradients
from every_cell import KINDS
from recurra import ConvLSTM, ConvRecurrent, Recurrent, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError

SERVED = [c for c in KINDS if c.recurrence in ("dense", "none") and not c.layer_norm and c.elapsed == "none"]


def by_hand(layer: ConvLSTM, x: Tensor, h: Tensor, c: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Shi et al. 2015, equation 3, of one layer and direction: one convolution of input and output together a step."""
    suffix = "_l0_reverse" if reverse else "_l0"
    w = {name.removesuffix(suffix): value for name, value in layer.named_parameters() if name.endswith(suffix)}
    kernel = torch.cat([w["weight_ih"], w["weight_hh"]], 1)
    bias, around = w["bias_ih"] + w["bias_hh"], tuple(size // 2 for size in layer.kernel_size)
    outputs = [h] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        i, f, g, o = conv2d(torch.cat([x[t], h], 1), kernel, bias, padding=around).chunk(4, 1)
        p = {gate: w[f"peephole_{gate}"].reshape(-1, 1, 1) if "peephole_i" in w else 0.0 for gate in "ifo"}
        f = torch.sigmoid(f + p["f"] * c)
        c = f * c + torch.sigmoid(i + p["i"] * c) * torch.tanh(g)
        h = torch.sigmoid(o + p["o"] * c) * torch.tanh(c)
        outputs[t] = h
    return torch.stack(outputs), h, c


@covering.parametrize({"peepholes": (False, True), "kernel_size": (3, (1, 5)), "bidirectional": (False, True)})
def test_it_is_the_loop_written_by_hand(
    peepholes: bool, kernel_size: int | tuple[int, int], bidirectional: bool
) -> None:
    torch.manual_seed(1)
    options: dict[str, Any] = {"peepholes": peepholes, "bidirectional": bidirectional, "dtype": torch.float64}
    layer = ConvLSTM(2, 3, kernel_size, **options)
    directions = 1 + bidirectional
    x = torch.randn(5, 2, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(directions, 2, 3, 4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    parts = [by_hand(layer, x, state[0][k], state[1][k], bool(k)) for k in range(directions)]
    outputs, hs, cs = zip(*parts, strict=True)
    expected = torch.cat(outputs, 2), (torch.stack(hs), torch.stack(cs))
    actual = layer(x, tuple(state))
    assert_agree(actual, expected)
    wanted = [x, *state, *layer.parameters()]
    assert_agree(gradients(actual, wanted), gradients(expected, wanted))


@pytest.mark.parametrize("cell", SERVED, ids=repr)
def test_with_kernels_of_one_it_is_recurrent_at_each_position(cell: Cell) -> None:
    torch.manual_seed(2)
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True, "dtype": torch.float64}
    if cell.output_nonlinearity is not None:
        options["proj_size"] = 2
    maps, points = ConvRecurrent(cell, 3, 4, 1, **options), Recurrent(cell, 3, 4, **options)
    own = points.state_dict()
    points.load_state_dict({name: value.reshape(own[name].shape) for name, value in maps.state_dict().items()})
    x, lengths = torch.randn(3, 5, 3, 2, 2, dtype=torch.float64, requires_grad=True), torch.tensor([2, 5, 0])
    resets = torch.rand(3, 5) < 0.3
    flat = x.permute(0, 3, 4, 1, 2).reshape(12, 5, 3)
    output, _ = points(flat, lengths=lengths.repeat_interleave(4), resets=resets.repeat_interleave(4, 0))
    expected = output.reshape(3, 2, 2, 5, -1).permute(0, 3, 4, 1, 2)
    actual, _ = maps(x, lengths=lengths, resets=resets)
    assert_agree(actual, expected)
    assert_agree(gradients(actual, [x]), gradients(expected, [x]))


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    kind=st.sampled_from((cells.LSTM(), cells.GRUResetBefore())),
    resets=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_ragged_batch_is_its_sequences_one_by_one(lengths: list[int], kind: Cell, resets: bool, seed: int) -> None:
    torch.manual_seed(seed)
    layer = ConvRecurrent(kind, 1, 2, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.full((4, len(lengths), 1, 2, 3), float("nan"), dtype=torch.float64)
    marks = torch.rand(4, len(lengths)) < 0.4 if resets else None
    hx = [torch.randn(4, len(lengths), 2, 2, 3, dtype=torch.float64) for _ in kind.state]
    expected, finals = torch.zeros(4, len(lengths), 4, 2, 3, dtype=torch.float64), []
    for k, length in enumerate(lengths):
        x[:length, k] = torch.randn(length, 1, 2, 3, dtype=torch.float64)
        own = [part[:, k] for part in hx]
        hidden = tuple(own) if len(own) > 1 else own[0]
        output, final = layer(x[:length, k], hidden, resets=None if marks is None else marks[:length, k])
        expected[:length, k] = output
        finals.append(final if isinstance(final, tuple) else (final,))
    output, final = layer(x, tuple(hx) if len(hx) > 1 else hx[0], lengths, marks)
    final = final if isinstance(final, tuple) else (final,)
    assert_agree(output, expected)
    assert_agree(final, tuple(torch.stack(part, 1) for part in zip(*finals, strict=True)))
    for gradient in gradients(output, layer.parameters()):
        assert torch.isfinite(gradient).all()


def test_gradcheck() -> None:
    torch.manual_seed(3)
    layer = ConvLSTM(1, 2, peepholes=True, proj_size=1, bidirectional=True, dtype=torch.float64)
    x = torch.randn(3, 2, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(parameters, values, strict=True))
        output, final = torch.func.functional_call(layer, named, (x,), {"lengths": torch.tensor([3, 1])})
        return output, *final

    assert torch.autograd.gradcheck(run, (x, *parameters.values()), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, *parameters.values()), fast_mode=True)


def test_one_frame_at_a_time_is_the_whole() -> None:
    torch.manual_seed(4)
    layer = ConvLSTM(3, 4, num_layers=2, batch_first=True)
    frames = torch.randn(2, 6, 3, 5, 4)
    whole, final = layer(frames)
    state, outputs = None, []
    for t in range(6):
        output, state = layer(frames[:, t : t + 1], state)
        outputs.append(output)
    assert_agree((torch.cat(outputs, 1), state), (whole, final))


def test_dropout_is_of_training_alone_and_of_whole_channels() -> None:
    torch.manual_seed(5)
    layer = ConvLSTM(1, 8, recurrent_dropout=0.5, dropout=0.5, num_layers=2)
    x = torch.randn(4, 1, 1, 3, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    # At the first step there is nothing yet that the mask could hide.
    single = ConvLSTM(1, 8, recurrent_dropout=0.5)
    assert torch.equal(single(x)[0][0], single(x)[0][0])


@pytest.mark.parametrize("shape", [(0, 2, 1, 3, 3), (3, 0, 1, 3, 3), (3, 2, 1, 0, 3), (3, 2, 1, 3, 3)])
def test_nothing_to_run_gives_zeros_and_gradients_of_zeros(shape: tuple[int, ...]) -> None:
    layer = ConvLSTM(1, 2)
    output, (h, _) = layer(torch.randn(shape), lengths=[0] * shape[1])
    assert output.shape == (*shape[:2], 2, *shape[3:])
    assert not output.any()
    assert h.shape == (1, shape[1], 2, *shape[3:])
    assert not any(gradient.any() for gradient in gradients(output, layer.parameters()))


def test_what_does_not_fit_is_refused() -> None:
    for cell in (cells.IndRNN(), cells.SLSTM(), cells.LayerNormLSTM(), cells.TimeLSTM()):
        with pytest.raises(ParameterError, match="cell: expected a cell with a dense recurrence or none"):
            ConvRecurrent(cell, 1, 2)
    for size in (0, 2, (3, 4), (3,), True):
        with pytest.raises(ParameterError, match="kernel_size: expected an odd number"):
            ConvLSTM(1, 2, size)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ParameterError, match="recurrent_dropout: expected 0"):
        ConvRecurrent(cells.MinGRU(), 1, 2, recurrent_dropout=0.1)
    layer = ConvLSTM(2, 3)
    with pytest.raises(ShapeError, match="4 or 5 dimensions"):
        layer(torch.zeros(3, 2, 4))
    with pytest.raises(ShapeError, match="input_size = 2 channels"):
        layer(torch.zeros(3, 1, 3, 4, 4))
    with pytest.raises(ShapeError, match="values from 0 to T = 3"):
        layer(torch.zeros(3, 1, 2, 4, 4), lengths=[4])
    with pytest.raises(ShapeError, match=r"hx \(c\)"):
        layer(torch.zeros(3, 1, 2, 4, 4), (torch.zeros(1, 1, 3, 4, 4), torch.zeros(1, 1, 3, 4, 5)))
    with pytest.raises(ShapeError, match=r"2 tensors \(h, c\)"):
        layer(torch.zeros(3, 1, 2, 4, 4), torch.zeros(1, 1, 3, 4, 4))
    with pytest.raises(ParameterError, match="without a batch dimension"):
        layer(torch.zeros(3, 2, 4, 4), lengths=[3])
    with pytest.raises(ShapeError, match=r"resets.*\(T, B\)"):
        layer(torch.zeros(3, 1, 2, 4, 4), resets=torch.zeros(1, 3, dtype=torch.bool))
