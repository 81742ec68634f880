"""The time since the last step: layers and cells that read it, on every kernel."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

import covering
import recurra
from agreement import assert_agree, gradients, tensors
from every_cell import SERVED
from recurra import Recurrent, RecurrentCell, Stepper, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError, StreamError

TIMED: list[Cell] = [cells.TimedCfC(), cells.TimeLSTM(), cells.GRUD()]
SERVED_TIMED = [(cell, backend) for cell, backend in SERVED if cell.elapsed != "none"]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def times(*shape: int) -> Tensor:
    return 3 * torch.rand(*shape, dtype=torch.float64)


def layer_of(cell: Cell, **options: Any) -> Recurrent:
    return Recurrent(cell, 3, 5, dtype=torch.float64, **options)


@covering.parametrize(
    {
        ("cell", "backend"): SERVED_TIMED,
        "bidirectional": [False, True],
        "lengths": [None, (6, 3)],
        "resets": [False, True],
        "bias": [True, False],
    },
    strength=2,
)
def test_without_times_every_time_is_one(
    cell: Cell, backend: str, bidirectional: bool, lengths: Any, resets: bool, bias: bool
) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=bidirectional, backend=backend, bias=bias)
    x, boundaries = normal(6, 2, 3), torch.zeros(6, 2, dtype=torch.bool)
    boundaries[2, 0] = boundaries[1, 1] = resets
    ones = torch.ones(6, 2, 1, dtype=torch.float64)
    actual = layer(x, lengths=lengths, resets=boundaries, elapsed=ones)
    assert_agree(actual, layer(x, lengths=lengths, resets=boundaries))
    other = layer(x, lengths=lengths, resets=boundaries, elapsed=3 * ones)
    assert all((a - b).abs().max() > 1e-6 for a, b in zip(tensors(actual), tensors(other), strict=True))


@covering.parametrize({("cell", "backend"): SERVED_TIMED, "lengths": [None, (6, 0, 4)]}, strength=1)
def test_the_reverse_direction_reads_the_time_to_the_step_after(cell: Cell, backend: str, lengths: Any) -> None:
    both = layer_of(cell, bidirectional=True, backend=backend)
    alone = layer_of(cell, backend=backend)
    alone.load_state_dict(
        {name.removesuffix("_reverse"): value for name, value in both.state_dict().items() if "reverse" in name}
    )
    x, elapsed = normal(6, 3, 3), times(6, 3, 1)
    output, _ = both(x, lengths=lengths, elapsed=elapsed)
    for row, length in enumerate(lengths or (6, 6, 6)):
        after = elapsed[:length, row].roll(-1, 0)
        expected, _ = alone(x[:length, row].flip(0), elapsed=after.flip(0))
        assert_agree(output[:length, row, 5:], expected.flip(0))


@covering.parametrize({("cell", "backend"): SERVED_TIMED, "lengths": [None, (4, 2)]}, strength=1)
def test_gradients_reach_the_times(cell: Cell, backend: str, lengths: Any) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=True, backend=backend)
    x, elapsed = normal(4, 2, 3).requires_grad_(), times(4, 2, 1).requires_grad_()

    def run(x: Tensor, elapsed: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors(layer(x, lengths=lengths, elapsed=elapsed)))

    assert gradcheck(run, (x, elapsed), fast_mode=True)


@pytest.mark.parametrize("cell", TIMED, ids=str)
def test_padding_is_not_read_and_kernels_agree(cell: Cell) -> None:
    layer = layer_of(cell, num_layers=2, bidirectional=True, batch_first=True)
    x, elapsed = normal(3, 7, 3), times(3, 7, 1)
    padding = torch.arange(7) >= torch.tensor([7, 0, 4]).unsqueeze(1)
    x[padding] = elapsed[padding] = torch.nan
    x.requires_grad_()
    elapsed.requires_grad_()
    wanted, results = [x, elapsed, *layer.parameters()], []
    for backend in ("native", "reference"):
        layer.backend = backend
        results.append(layer(x, lengths=(7, 0, 4), elapsed=elapsed))
    assert_agree(*results)
    found = [gradients(result, wanted) for result in results]
    assert_agree(*found)
    assert all(gradient.isfinite().all() for gradient in found[0])
    assert not found[0][1][padding].any()


@pytest.mark.parametrize(("cell", "backend"), SERVED_TIMED, ids=str)
def test_a_sequence_is_its_steps(cell: Cell, backend: str) -> None:
    layer = layer_of(cell, backend=backend)
    step = RecurrentCell(cell, 3, 5, dtype=torch.float64, backend=backend)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, elapsed = normal(6, 2, 3), times(6, 2, 1)
    output, _ = layer(x, elapsed=elapsed)
    one, _ = layer(x[:, 0], elapsed=elapsed[:, 0])
    assert_agree(one, output[:, 0])
    state = alone = None
    for t in range(6):
        state = step(x[t], state, elapsed[t])
        alone = step(x[t, 0], alone, elapsed=elapsed[t, 0])
        assert_agree(tensors(state)[0], output[t])
        assert_agree(tensors(alone)[0], output[t, 0])


def test_ages_of_channels_move_the_state_of_a_gru_d() -> None:
    layer = layer_of(cells.GRUD(), num_layers=2, elapsed_size=2)
    assert layer.weight_eh_l1.shape == (5, 2)  # type: ignore[union-attr]
    assert (layer.weight_eh_l0 >= 0).all()  # type: ignore[operator]
    x, ages = normal(4, 2, 3), times(4, 2, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x, elapsed=ages)[0].sum(), ages)
    assert gradient[1:].abs().min() > 0
    assert "elapsed_size=2" in repr(layer)
    forgotten, _ = layer(x, elapsed=torch.full((4, 2, 2), 1e4).double())
    assert_agree(forgotten[3], layer(x[3:], elapsed=ages[3:])[0][0])


@pytest.mark.parametrize("cell", TIMED, ids=str)
def test_a_stream_reads_times(cell: Cell) -> None:
    layer = Recurrent(cell, 3, 5, 2)
    x, elapsed = torch.randn(6, 2, 3), 3 * torch.rand(6, 2, 1)
    with torch.no_grad():
        expected, _ = layer(x, elapsed=elapsed)
        plain, _ = layer(x)
    stepper = Stepper(layer, reads_elapsed=True)
    assert stepper.program.input_size == 4
    state = None
    for t in range(6):
        y, state = stepper(torch.cat([x, elapsed], 2)[t], state)
        torch.testing.assert_close(y, expected[t], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(Stepper(layer)(x)[0], plain, rtol=1e-5, atol=1e-6)
    with pytest.raises(StreamError, match="bidirectional=True: the backward direction reads the time"):
        Stepper(Recurrent(cell, 3, 5, bidirectional=True), reads_elapsed=True)
    with pytest.raises(ParameterError, match="reads_elapsed: expected False"):
        Stepper(nn.Linear(2, 3), reads_elapsed=True)


def test_times_under_autocast_and_compiled_whole() -> None:
    cell = cells.GRUD()
    layer, step = Recurrent(cell, 3, 5, 2), RecurrentCell(cell, 3, 5)
    x, elapsed = torch.randn(4, 2, 3), 300 * torch.rand(4, 2, 1)
    torch.compiler.reset()
    assert_agree(torch.compile(layer, backend="eager", fullgraph=True)(x, elapsed=elapsed), layer(x, elapsed=elapsed))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        # The times are not rounded to the dtype of the inputs.
        rounded = layer(x.bfloat16(), elapsed=elapsed)[0]
        assert_agree(rounded, layer(x.bfloat16().float(), elapsed=elapsed)[0])
        assert_agree(
            tensors(step(x[0].bfloat16(), elapsed=elapsed[0])),
            tensors(step(x[0].bfloat16().float(), elapsed=elapsed[0])),
        )


def test_what_does_not_fit_is_refused() -> None:
    layer, x = layer_of(cells.TimeLSTM(), batch_first=True), normal(2, 4, 3)
    with pytest.raises(ShapeError, match=r"elapsed: expected shape \(B, T, E\)"):
        layer(x, elapsed=times(2, 4))
    with pytest.raises(ShapeError, match="elapsed: expected"):
        layer(x, elapsed=torch.ones(2, 4, 1))
    with pytest.raises(ParameterError, match="elapsed: expected None with packed input"):
        layer(nn.utils.rnn.pack_padded_sequence(x, [4, 2], batch_first=True), elapsed=times(2, 4, 1))
    with pytest.raises(ParameterError, match=r"elapsed: expected None, as LSTM\(\) does not read the time"):
        recurra.LSTM(3, 5).double()(x, elapsed=times(2, 4, 1))
    with pytest.raises(ParameterError, match=r"elapsed: expected None, as GRU\(\) does not read the time"):
        RecurrentCell(cells.GRU(), 3, 5).double()(x[0], elapsed=times(4, 1))
    with pytest.raises(ParameterError, match=r"elapsed_size: expected 1, as TimeLSTM\(\) reads one time"):
        layer_of(cells.TimeLSTM(), elapsed_size=2)
    with pytest.raises(ParameterError, match="bidirectional: expected False with elapsed_size = 2"):
        layer_of(cells.GRUD(), elapsed_size=2, bidirectional=True)
