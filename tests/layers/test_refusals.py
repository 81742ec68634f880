"""What Recurrent and RecurrentCell refuse: the message names the parameter, what was expected and what came."""

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import recurra
from every_cell import Peephole, ThreeParts
from recurra import Recurrent, RecurrentCell, cells
from recurra.errors import BackendError, ParameterError, ShapeError
from recurra.kernels.native import extension


def refuses(error: type[Exception], call: Any, *said: str) -> None:
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.startswith(f"{said[0]}: expected "), message
    for text in said[1:]:
        assert text in message, message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("input_size", "hidden_size") for value in (0, -3, 2.0, True, "4", None)),
        *(("cell", value) for value in (cells.LSTM, "LSTM", None, torch.nn.LSTM(2, 3))),
    ],
)
def test_parameters_of_both(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"cell": cells.LSTM(), "input_size": 3, "hidden_size": 4, name: value}
    for make in (Recurrent, RecurrentCell):
        refuses(ParameterError, lambda make=make: make(**arguments), name, f"got {value!r}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_layers", value) for value in (0, -1, 1.5, True)),
        *(("dropout", value) for value in (-0.1, 1.1, float("nan"), "0.5", True, None)),
        *(("proj_size", value) for value in (-1, 4, 5, True, 1.0)),
        *(("backend", value) for value in ("cudnn", "", None)),
    ],
)
def test_parameters_of_a_layer(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    refuses(ParameterError, lambda: Recurrent(cells.LSTM(), 3, 4, **options), name, f"got {value!r}")
    refuses(ParameterError, lambda: recurra.LSTM(3, 4, **options), name, f"got {value!r}")


@pytest.mark.parametrize("make", [recurra.RNN, recurra.RNNCell])
def test_nonlinearity(make: Any) -> None:
    refuses(ParameterError, lambda: make(3, 4, nonlinearity="sin"), "nonlinearity", "'tanh'", "got 'sin'")


@pytest.mark.parametrize("cell", [cells.GRU(), ThreeParts()], ids=str)
def test_no_projection_where_the_equations_read_the_output(cell: cells.Cell) -> None:
    refuses(ParameterError, lambda: Recurrent(cell, 3, 4, proj_size=1), "proj_size", repr(cell), "got 1")


class AlwaysProjected(cells.IndRNN):
    output_nonlinearity = "identity"


class ReadsItsOutput(cells.Jordan):
    def update(self, x: Any, u: Any, s: Any, p: Any) -> cells.State:
        return cells.State(y=x.a + u.a + s.y)


@pytest.mark.parametrize("cell", [AlwaysProjected(), ReadsItsOutput()], ids=str)
def test_a_cell_that_cannot_be_projected(cell: cells.Cell) -> None:
    refuses(ParameterError, lambda: Recurrent(cell, 3, 4), "cell", "no output_nonlinearity")
    refuses(ParameterError, lambda: RecurrentCell(cell, 3, 4, proj_size=2), "proj_size", "got 2")


def test_a_projection_that_the_native_kernel_does_not_have() -> None:
    layer = Recurrent(cells.SRU(), 3, 4, proj_size=2, backend="native")
    with pytest.raises(BackendError, match="full matrix of recurrent weights"):
        layer(torch.randn(5, 2, 3))


@pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")
@pytest.mark.parametrize("backend", ["auto", "native"])
def test_tensors_on_other_devices(backend: str) -> None:
    layer = recurra.GRU(3, 4, backend=backend)
    hx = torch.zeros(1, 2, 4, device="meta")
    refuses(ShapeError, lambda: layer(torch.randn(5, 2, 3), hx), "state (h)", "device cpu", "got meta")
    refuses(ShapeError, lambda: layer.to("meta")(torch.randn(5, 2, 3)), "weight_ih", "device cpu", "got meta")


@pytest.mark.parametrize("shape", [(3,), (), (2, 3, 4, 3)])
def test_dimensions_of_the_input(shape: tuple[int, ...]) -> None:
    refuses(ShapeError, lambda: recurra.GRU(3, 4)(torch.randn(shape)), "input", f"got {len(shape)}")
    if len(shape) != 1:
        refuses(ShapeError, lambda: recurra.GRUCell(3, 4)(torch.randn(shape)), "input", f"got {len(shape)}")


@pytest.mark.parametrize("backend", ["reference", "aten", "auto"])
def test_features_and_dtype_of_the_input(backend: str) -> None:
    layer = recurra.LSTM(3, 4, backend=backend)
    for shape in ((5, 2, 7), (5, 7)):
        refuses(ShapeError, lambda s=shape: layer(torch.randn(s)), "input", "input_size = 3", "got 7")
    refuses(ShapeError, lambda: layer(pack_sequence([torch.randn(5, 7)])), "input", "input_size = 3")
    refuses(ShapeError, lambda: layer(torch.randn(5, 2, 3).double()), "input", "torch.float32", "torch.float64")
    refuses(ShapeError, lambda: layer(torch.ones(5, 2, 3, dtype=torch.long)), "input", "torch.int64")


def test_features_and_dtype_of_a_step_s_input() -> None:
    step = recurra.LSTMCell(3, 4)
    refuses(ShapeError, lambda: step(torch.randn(2, 7)), "input", "(B, I) = (2, 3)", "got (2, 7)")
    refuses(ShapeError, lambda: step(torch.randn(2, 3).double()), "input", "torch.float32", "torch.float64")


@pytest.mark.parametrize("backend", ["reference", "aten"])
def test_initial_state(backend: str) -> None:
    x = torch.randn(5, 2, 3)
    gru = recurra.GRU(3, 4, num_layers=2, bidirectional=True, backend=backend)
    for shape in ((1, 2, 4), (4, 1, 4), (4, 2, 3), (2, 4), (4, 2, 2, 4)):
        expected = ("(D * L, B, H) = (4, 2, 4)", f"got {shape}")
        refuses(ShapeError, lambda s=shape: gru(x, torch.randn(s)), "hx (h)", *expected)
    refuses(ShapeError, lambda: gru(x[:, 0], torch.randn(4, 1, 4)), "hx (h)", "(D * L, H) = (4, 4)")
    h = torch.randn(4, 2, 4)
    refuses(ShapeError, lambda: gru(x, (h, h)), "hx", "1 tensors (h)", "got 2")
    refuses(ShapeError, lambda: gru(x, h.double()), "hx (h)", "torch.float32", "got torch.float64")

    lstm = recurra.LSTM(3, 4, proj_size=2, backend=backend)
    h, c = torch.randn(1, 2, 2), torch.randn(1, 2, 4)
    refuses(ShapeError, lambda: lstm(x, h), "hx", "2 tensors (h, c)", "got 1")
    refuses(ShapeError, lambda: lstm(x, (h, c, c)), "hx", "2 tensors (h, c)", "got 3")
    refuses(ShapeError, lambda: lstm(x, (c, c)), "hx (h)", "(1, 2, 2)", "got (1, 2, 4)")
    refuses(ShapeError, lambda: lstm(x, (h, h)), "hx (c)", "(1, 2, 4)", "got (1, 2, 2)")
    refuses(ShapeError, lambda: lstm(x, (h, c.double())), "hx (c)", "torch.float32", "got torch.float64")


def test_state_of_a_step() -> None:
    step, x = recurra.LSTMCell(3, 4), torch.randn(2, 3)
    h = torch.randn(2, 4)
    refuses(ShapeError, lambda: step(x, h), "hx", "2 tensors (h, c)", "got 1")
    refuses(ShapeError, lambda: step(x, (h, h[:1])), "hx (c)", "(B, H) = (2, 4)", "got (1, 4)")
    refuses(ShapeError, lambda: step(x, (h, h.double())), "hx (c)", "torch.float32", "got torch.float64")
    refuses(ShapeError, lambda: step(x[0], (h[0], h)), "hx (c)", "(H,) = (4,)", "got (2, 4)")


@pytest.mark.parametrize("backend", ["reference", "aten"])
def test_lengths(backend: str) -> None:
    layer, x = recurra.GRU(3, 4, backend=backend), torch.randn(5, 2, 3)
    refuses(ShapeError, lambda: layer(x, lengths=[1.0, 2.0]), "lengths", "integers", "float32")
    refuses(ShapeError, lambda: layer(x, lengths=[True, False]), "lengths", "integers", "bool")
    refuses(ShapeError, lambda: layer(x, lengths=[6, 1]), "lengths", "0 to T = 5", "got 1 to 6")
    refuses(ShapeError, lambda: layer(x, lengths=[2, -1]), "lengths", "0 to T = 5", "got -1 to 2")
    for wrong in ([1], [1, 2, 3], [[1, 2]], 3, []):
        refuses(ShapeError, lambda n=wrong: layer(x, lengths=n), "lengths", "(B,) = (2,)")
    packed = pack_sequence([x[:, 0], x[:3, 1]])
    refuses(ParameterError, lambda: layer(packed, lengths=[5, 3]), "lengths", "packed", "got [5, 3]")
    refuses(ParameterError, lambda: layer(x[:, 0], lengths=[5]), "lengths", "one sequence", "got [5]")


def test_a_backend_by_name_that_cannot_serve() -> None:
    layer = Recurrent(Peephole(), 3, 4, backend="aten")
    with pytest.raises(BackendError, match=r"backend 'aten' cannot serve: .*Peephole\(\)"):
        layer(torch.randn(5, 2, 3))


def test_autocast_converts_what_is_else_refused() -> None:
    layer = recurra.RNN(3, 4, backend="reference")
    x = torch.randn(5, 2, 3)
    expected, _ = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        actual, _ = layer(x.bfloat16())
    torch.testing.assert_close(actual.float(), expected, rtol=0.05, atol=0.05)
