"""RIM: against its equations written by hand, what is active, every kind of cell, copies, and what it refuses."""

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from agreement import assert_agree, gradients
from every_cell import KINDS, fitting
from recurra import RIM, Stack, cells
from recurra.errors import ParameterError, ShapeError

SUITABLE = [cell for cell in KINDS if cell.output_nonlinearity is None and not cell.widths()]


def made(*sizes: Any, **options: Any) -> RIM:
    torch.manual_seed(1)
    return RIM(*sizes, dtype=torch.float64, **options)


def by_hand(layer: RIM, x: Tensor) -> tuple[Tensor, list[list[bool]]]:
    """The outputs (T, H) of one sequence (T, I) by the equations, module by module, and who was active."""
    modules, size, head = layer.num_modules, layer.module_size, layer.module_size // layer.heads
    w = {name: list(weight) for name, weight in layer.cells.items()}
    h, c = ([x.new_zeros(size) for _ in range(modules)] for _ in range(2))
    outputs, activity = [], []
    for x_t in x:
        key, value = layer.weight_key @ x_t, layer.weight_value @ x_t
        scores = [(layer.weight_query[n] @ h[n] + layer.bias_query[n]) @ key / math.sqrt(size) for n in range(modules)]
        active = sorted(range(modules), key=lambda n: -float(scores[n].detach()))[: layer.num_active]
        for n in active:
            null_and_input = torch.stack([scores[n] * 0, scores[n]]).softmax(0)
            read = null_and_input[1] * value
            gates = w["weight_ih"][n] @ read + w["bias_ih"][n] + w["weight_hh"][n] @ h[n] + w["bias_hh"][n]
            i, f, g, o = gates.chunk(4)
            c[n] = f.sigmoid() * c[n] + i.sigmoid() * g.tanh()
            h[n] = o.sigmoid() * c[n].tanh()
        told = list(h)
        for n in active:
            heard = []
            for part in (slice(k * head, (k + 1) * head) for k in range(layer.heads)):
                query = (layer.talk_query[n] @ told[n])[part]
                weights = torch.stack(
                    [query @ (layer.talk_key[m] @ told[m])[part] / math.sqrt(head) for m in range(modules)]
                ).softmax(0)
                heard.append(sum(a * (layer.talk_value[m] @ told[m])[part] for m, a in enumerate(weights)))
            h[n] = told[n] + torch.cat(heard)  # type: ignore[arg-type]
        outputs.append(torch.cat(h))
        activity.append([n in active for n in range(modules)])
    return torch.stack(outputs), activity


@pytest.mark.parametrize(("active", "heads"), [(2, 1), (3, 2), (1, 4)])
def test_it_is_the_equations(active: int, heads: int) -> None:
    layer = made(3, 12, 3, active, heads=heads)
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    output, _ = layer(x.unsqueeze(1))
    expected, activity = by_hand(layer, x)
    assert_agree(output[:, 0], expected)
    assert layer.activity(x.unsqueeze(1))[:, 0].tolist() == activity
    wanted = [x, *layer.parameters()]
    assert_agree(gradients(output[:, 0], wanted), gradients(expected, wanted))


@pytest.mark.parametrize("cell", SUITABLE, ids=repr)
def test_any_cell_is_a_module(cell: Any) -> None:
    hidden = 2 * fitting(cell, 4)
    layer = made(3, hidden, 2, 1, cell=cell)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    output, state = layer(x)
    assert output.shape == (4, 2, hidden)
    following, _ = layer(x[2:], layer(x[:2])[1])
    assert_agree(following, output[2:])
    parts = state if isinstance(state, tuple) else (state,)
    assert [part.shape for part in parts] == [(1, 2, hidden)] * len(cell.state)


def test_as_many_are_active_as_it_says_and_others_keep_their_state() -> None:
    layer = made(3, 10, 5, 2)
    x, lengths = torch.randn(7, 3, 3, dtype=torch.float64), torch.tensor([7, 4, 0])
    active = layer.activity(x, lengths=lengths)
    valid = torch.arange(7).unsqueeze(1) < lengths
    assert (active.sum(2) == 2 * valid).all()
    assert len(active[:, 0].unique(dim=0)) > 1
    output = layer(x, lengths=lengths)[0].unflatten(2, (5, 2))
    before = torch.cat([torch.zeros_like(output[:1]), output[:-1]])
    kept = (output == before).all(3)
    assert (kept[valid] == ~active[valid]).all()


def test_layouts_copies_and_checkpoints_are_the_same() -> None:
    layer, other = made(3, 6, 3), made(3, 6, 3, batch_first=True)
    assert layer.num_active == 2
    other.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, state = layer(x)
    assert_agree(other(x.transpose(0, 1)), (output.transpose(0, 1), state))
    assert torch.equal(other.activity(x.transpose(0, 1)), layer.activity(x).transpose(0, 1))
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_agree(copied(x, state), layer(x, state))


def test_it_is_a_block_of_a_stack() -> None:
    stack = Stack("rim:2:active=1:heads=2, rim", 4, 12)
    first, second = (block.block for block in stack.blocks)
    assert isinstance(first, RIM)
    assert isinstance(second, RIM)
    assert (first.num_modules, first.num_active, first.heads) == (2, 1, 2)
    assert (second.num_modules, second.num_active, second.heads) == (6, 4, 1)
    assert stack.architecture.is_recurrent
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(stack(torch.randn(3, 2, 4))[0]).all()


def test_what_does_not_fit_is_refused() -> None:
    for sizes, options, message in (
        ((3, 8, 3), {}, "hidden_size: expected a multiple of the 3 modules, got 8"),
        ((3, 8, 0), {}, "num_modules: expected a whole number"),
        ((3, 8, 4, 5), {}, "num_active: expected at most num_modules = 4, got 5"),
        ((3, 8, 4, 0), {}, "num_active: expected a whole number"),
        ((3, 8, 2), {"heads": 3}, "heads: expected a divisor of the 4 units of a module, got 3"),
        ((3, 8, 2), {"cell": cells.Jordan()}, "cell: expected one whose output is its state"),
        ((3, 8, 2), {"cell": cells.LMU()}, "cell: expected one whose output is its state"),
        ((3, 8, 2), {"cell": "lstm"}, "cell: expected a Cell"),
        ((3, 9, 3), {"cell": cells.SLSTM(2)}, "hidden_size: expected a multiple of the cell's 2 heads"),
    ):
        with pytest.raises(ParameterError, match=message):
            RIM(*sizes, **options)  # type: ignore[arg-type]
    layer, x = RIM(3, 8, 2), torch.zeros(2, 1, 3)
    with pytest.raises(ShapeError, match="state: expected a tuple of 2"):
        layer(x, torch.zeros(1, 1, 8))
    with pytest.raises(ShapeError, match=r"state \(c\)"):
        layer(x, (torch.zeros(1, 1, 8), torch.zeros(1, 1, 7)))
