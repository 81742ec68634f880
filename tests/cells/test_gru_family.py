"""What is particular to the descendants of the GRU with recurrent weights."""

import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor

from agreement import assert_agree
from every_cell import assemble, draw_state, draw_weights, flat
from recurra import kernels
from recurra.cells import GRU, MGU, Cell, GRUResetBefore, LayerNormGRU, LayerNormLSTM
from recurra.kernels import Masks, Weights


def parts(cell: Cell, w: Weights) -> tuple[dict[str, Tensor], ...]:
    """W, U and the two biases, by gate."""
    return tuple(by_gate(cell, tensor) for tensor in (w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh))


def test_a_gru_with_its_reset_gate_before_the_product() -> None:
    cell = GRUResetBefore()

    def write(w: Weights) -> Step:
        W, U, b, d = parts(cell, w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            r = torch.sigmoid(x @ W["r"].T + b["r"] + h @ U["r"].T + d["r"])
            z = torch.sigmoid(x @ W["z"].T + b["z"] + h @ U["z"].T + d["z"])
            n = torch.tanh(x @ W["n"].T + b["n"] + (r * h) @ U["n"].T + d["n"])
            return (z * h + (1 - z) * n,)

        return step

    assert_as_written(cell, write)


def test_where_the_reset_gate_is_matters_unless_it_is_the_same_for_all_units() -> None:
    weights, state, x = draw_weights(GRU(), 3, 4), draw_state(GRU(), 2, 4), torch.randn(6, 2, 3).double()

    def outputs(cell: Cell, given: Weights) -> Tensor:
        return kernels.run("reference", cell, x, state, given)[0]

    assert (outputs(GRU(), weights) - outputs(GRUResetBefore(), weights)).abs().max() > 1e-2
    # r = 1/2 everywhere, and b_hn, which it multiplies in one of them, 0.
    constant = [tensor.detach().clone() for tensor in flat(weights)]
    for tensor in constant:
        tensor[:4] = 0
    constant[3][8:] = 0
    halved = assemble(weights, constant)
    assert_agree(outputs(GRUResetBefore(), halved), outputs(GRU(), halved))


def test_an_mgu() -> None:
    cell = MGU()

    def write(w: Weights) -> Step:
        W, U, b, d = parts(cell, w)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            f = torch.sigmoid(x @ W["f"].T + b["f"] + h @ U["f"].T + d["f"])
            candidate = torch.tanh(x @ W["n"].T + b["n"] + (f * h) @ U["n"].T + d["n"])
            return ((1 - f) * h + f * candidate,)

        return step

    assert_as_written(cell, write)


def test_an_mgu_is_a_gru_whose_reset_gate_is_the_rest_of_its_update_gate() -> None:
    weights, state, x = draw_weights(MGU(), 3, 4), draw_state(MGU(), 2, 4), torch.randn(6, 2, 3).double()
    # sigmoid(-a) = 1 - sigmoid(a)
    weight_ih, weight_hh, bias_ih, bias_hh = (torch.cat([w[:4], -w[:4], w[4:]]) for w in flat(weights))
    whole = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    expected = kernels.run("reference", GRUResetBefore(), x, state, whole)
    assert_agree(kernels.run("reference", MGU(), x, state, weights), expected)


def test_recurrent_dropout_is_on_all_that_the_recurrent_weights_of_an_mgu_read_and_on_nothing_else() -> None:
    cell = MGU()
    weights, (state,), x = draw_weights(cell, 3, 4), draw_state(cell, 2, 4), torch.randn(4, 2, 3).double()
    mask = torch.tensor([[2.0, 0, 2, 0], [0, 2, 2, 2]]).double()
    W, U, b, d = parts(cell, weights)
    h, outputs = state, []
    for x_t in x:
        f = torch.sigmoid(x_t @ W["f"].T + b["f"] + (mask * h) @ U["f"].T + d["f"])
        candidate = torch.tanh(x_t @ W["n"].T + b["n"] + (f * (mask * h)) @ U["n"].T + d["n"])
        h = (1 - f) * h + f * candidate
        outputs.append(h)
    found, _ = kernels.run("reference", cell, x, (state,), weights, masks=Masks(recurrent=mask))
    assert_agree(found, torch.stack(outputs))


def normal(v: Tensor) -> Tensor:
    """Layer normalisation of the rows of v, without scale and shift."""
    centred = v - v.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()


def test_a_layer_normalised_gru() -> None:
    cell = LayerNormGRU()

    def write(w: Weights) -> Step:
        W, U, b, d = parts(cell, w)
        scale_x, scale_h = by_gate(cell, w.norm_ih), by_gate(cell, w.norm_hh)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            given = {k: scale_x[k] * normal(x @ W[k].T) + b[k] for k in W}
            fed = {k: scale_h[k] * normal(h @ U[k].T) + d[k] for k in U}
            r = torch.sigmoid(given["r"] + fed["r"])
            z = torch.sigmoid(given["z"] + fed["z"])
            n = torch.tanh(given["n"] + r * fed["n"])
            return ((1 - z) * n + z * h,)

        return step

    assert_as_written(cell, write)


def test_a_layer_normalised_lstm() -> None:
    cell = LayerNormLSTM()

    def write(w: Weights) -> Step:
        W, U, b, d = parts(cell, w)
        scale_x, scale_h = by_gate(cell, w.norm_ih), by_gate(cell, w.norm_hh)

        def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
            total = {k: scale_x[k] * normal(x @ W[k].T) + b[k] + scale_h[k] * normal(h @ U[k].T) + d[k] for k in W}
            c = torch.sigmoid(total["f"]) * c + torch.sigmoid(total["i"]) * torch.tanh(total["g"])
            return torch.sigmoid(total["o"]) * torch.tanh(c), c

        return step

    assert_as_written(cell, write)


@pytest.mark.parametrize("cell", [LayerNormGRU(), LayerNormLSTM()], ids=str)
def test_layer_normalisation_sees_neither_scale_nor_offset_of_a_gate_s_weights(cell: Cell) -> None:
    weights, state, x = draw_weights(cell, 3, 4), draw_state(cell, 2, 4), torch.randn(6, 2, 3).double()
    assert weights.weight_hh is not None
    changed = [tensor.detach().clone() for tensor in flat(weights)]
    matrices = changed[:2]
    for matrix in matrices:
        matrix *= 1e3  # the variances are then large beside epsilon
    expected = kernels.run("reference", cell, x, state, assemble(weights, changed))[0]
    for matrix in matrices:
        matrix[4:8] *= 7  # one gate alone
        matrix[8:12] += 50 * torch.randn(matrix.shape[1]).double()  # the same to all units of a gate
    found = kernels.run("reference", cell, x, state, assemble(weights, changed))[0]
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    matrices[0][0] *= 2
    assert (kernels.run("reference", cell, x, state, assemble(weights, changed))[0] - expected).abs().max() > 1e-3
