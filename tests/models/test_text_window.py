import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models.text_window import TextWindow, Windowed, WrittenText

TEXT, LENGTHS = torch.tensor([[0, 1, 2, 1], [2, 0, 0, 0]]), [4, 2]


def window(components: int = 2) -> tuple[TextWindow, WrittenText]:
    torch.manual_seed(0)
    made = TextWindow(3, 3, components, pace=0.3).double()
    torch.nn.init.normal_(made.parameters_of.weight, std=0.5)
    return made, made.prepare(TEXT, LENGTHS)


def test_the_equations_of_the_paper() -> None:
    made, text = window()
    query, position = torch.randn(2, 3).double(), torch.rand(2, 2).double() * 3
    read: Windowed = made(query, text, position)
    raw = query @ made.parameters_of.weight.T + made.parameters_of.bias
    for row in range(2):
        a, b, d = (raw[row, 2 * k : 2 * k + 2].exp().tolist() for k in range(3))
        at = [position[row, k].item() + d[k] for k in range(2)]
        np.testing.assert_allclose(read.position[row].tolist(), at)
        context = np.zeros(3)
        for u in range(LENGTHS[row] + 1):
            phi = sum(a[k] * math.exp(-b[k] * (at[k] - (u + 1)) ** 2) for k in range(2))
            assert read.weights[row, u].item() == pytest.approx(phi)
            if u < LENGTHS[row]:
                context[TEXT[row, u]] += phi
        np.testing.assert_allclose(read.context[row].tolist(), context)
        assert not read.weights[row, LENGTHS[row] + 1 :].any()


def test_gradients_of_two_steps() -> None:
    made, text = window()

    def two_steps(query: Tensor, position: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        parameters = {"parameters_of.weight": weight, "parameters_of.bias": bias}
        first = torch.func.functional_call(made, parameters, (query, text, position))
        context = torch.cat([first.context, first.context.new_zeros(2, 3 - first.context.shape[1])], 1)
        return (*first, *torch.func.functional_call(made, parameters, (query + context, text, first.position)))

    inputs = (torch.randn(2, 3), torch.rand(2, 2) * 3, *(one.detach().clone() for one in made.parameters()))
    assert torch.autograd.gradcheck(two_steps, tuple(one.double().requires_grad_() for one in inputs))


def test_it_only_moves_forward_and_first_at_its_pace() -> None:
    made = TextWindow(3, 3, 4, pace=0.25)
    text = made.prepare(torch.zeros(1, 12, dtype=torch.int64), [12])
    position, sums = None, []
    for _ in range(20):
        _, weights, after = made(torch.zeros(1, 3), text, position)
        position = after
        sums.append(weights.sum().item())
    assert position is not None
    np.testing.assert_allclose(position.tolist(), [[5.0] * 4], rtol=1e-5)
    # Away from the ends of the text the window is a mean.
    np.testing.assert_allclose(sums[12:], 1.0, atol=0.02)
    read = made(torch.randn(1, 3) * 1000, text, position)
    assert (read.position >= position).all()
    assert all(one.isfinite().all() for one in read)


def test_padding_is_not_read() -> None:
    made, text = window()
    query = torch.randn(2, 3).double()
    other = made.prepare(TEXT.clone().index_put((torch.tensor(1), torch.tensor([2, 3])), torch.tensor(1)), LENGTHS)
    for one, same in zip(made(query, text), made(query, other), strict=True):
        assert torch.equal(one, same)
    alone = made(query[1:], made.prepare(TEXT[1:, :2], [2]))
    torch.testing.assert_close(alone.context, made(query, text).context[1:])


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="pace"):
        TextWindow(3, 3, pace=0.0)
    made, text = window()
    with pytest.raises(ShapeError, match="query"):
        made(torch.zeros(2, 4).double(), text)
    with pytest.raises(ShapeError, match="text"):
        made.prepare(torch.zeros(3, dtype=torch.int64), [3])
