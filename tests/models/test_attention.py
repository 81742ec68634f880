from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models import AdditiveAttention, Attention, DotAttention, GeneralAttention, coverage_loss

Q, M = 4, 6
KINDS: dict[str, Callable[..., Attention]] = {
    "additive": lambda **options: AdditiveAttention(Q, M, attention_size=5, **options),
    "dot": lambda **options: DotAttention(Q, **options),
    "scaled dot": lambda **options: DotAttention(Q, scaled=True, **options),
    "general": lambda **options: GeneralAttention(Q, M, **options),
}
kinds = pytest.mark.parametrize("kind", KINDS)
coverages = pytest.mark.parametrize("coverage", [False, True])


def make(kind: str, coverage: bool = False) -> Attention:
    attention = KINDS[kind](coverage=coverage).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    return attention


def score_by_hand(attention: Attention, q: Tensor, m: Tensor, c: Tensor) -> Tensor:
    """The equation of one query and one step."""
    if isinstance(attention, AdditiveAttention):
        inside = attention.query.weight @ q + attention.key.weight @ m + attention.key.bias
        if attention.covered is not None:
            inside = inside + attention.covered.weight[:, 0] * c
        return attention.score.weight[0] @ torch.tanh(inside)
    covered = attention.covered
    extra = covered * c if isinstance(covered, Tensor) else torch.zeros(()).double()
    if isinstance(attention, GeneralAttention):
        return q @ attention.key.weight @ m + extra
    assert isinstance(attention, DotAttention)
    return q @ m * attention.scale + extra


@kinds
@coverages
def test_the_equations(kind: str, coverage: bool):
    attention = make(kind, coverage)
    lengths = [3, 1, 5]
    query, memory = torch.randn(3, 2, Q).double(), torch.randn(3, 5, attention.memory_size).double()
    found = attention(query, attention.prepare(memory, lengths))
    for b, length in enumerate(lengths):
        covered = torch.zeros(5).double()
        for t in range(2):
            scores = torch.stack(
                [score_by_hand(attention, query[b, t], memory[b, s], covered[s]) for s in range(length)]
            )
            weights = torch.zeros(5).double()
            weights[:length] = scores.softmax(0)
            torch.testing.assert_close(found.weights[b, t], weights)
            torch.testing.assert_close(found.context[b, t], weights @ memory[b])
            if coverage:
                covered = covered + weights
    if coverage:
        torch.testing.assert_close(found.coverage, found.weights.sum(1))
    else:
        assert found.coverage is None


@kinds
@coverages
def test_padding_is_never_read(kind: str, coverage: bool):
    attention = make(kind, coverage)
    query = torch.randn(3, 2, Q).double()
    memory = torch.randn(3, 4, attention.memory_size).double()
    clean = memory.clone().requires_grad_()
    lengths = torch.tensor([4, 0, 2])
    for b, length in enumerate(lengths.tolist()):
        memory[b, length:] = torch.nan
    found = attention(query, attention.prepare(memory, lengths))
    expected = attention(query, attention.prepare(clean, lengths))
    torch.testing.assert_close(found.context, expected.context)
    assert (found.weights[1] == 0).all()
    assert (found.weights[2, :, 2:] == 0).all()
    assert (found.context[1] == 0).all()
    expected.context.square().sum().backward()
    assert clean.grad is not None
    assert (clean.grad[1] == 0).all()
    assert (clean.grad[2, 2:] == 0).all()
    assert clean.grad.isfinite().all()


@kinds
def test_coverage_goes_on_from_call_to_call(kind: str):
    attention = make(kind, coverage=True)
    query, raw = torch.randn(2, 5, Q).double(), torch.randn(2, 3, attention.memory_size).double()
    memory = attention.prepare(raw, [3, 2])
    whole = attention(query, memory)
    first = attention(query[:, :2], memory)
    second = attention(query[:, 2:], memory, first.coverage)
    torch.testing.assert_close(torch.cat([first.weights, second.weights], 1), whole.weights)
    torch.testing.assert_close(second.coverage, whole.coverage)


@kinds
@coverages
def test_gradients(kind: str, coverage: bool):
    attention = make(kind, coverage)
    query = torch.randn(2, 3, Q).double().requires_grad_()
    memory = torch.randn(2, 4, attention.memory_size).double().requires_grad_()
    names = [name for name, _ in attention.named_parameters()]

    def run(query: Tensor, memory: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(
            _Prepared(attention), {f"attention.{n}": p for n, p in given.items()}, (query, memory)
        )

    assert torch.autograd.gradcheck(run, (query, memory, *attention.parameters()))


class _Prepared(torch.nn.Module):
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        return self.attention(query, self.attention.prepare(memory, [4, 2])).context


def test_a_batch_of_one_is_as_in_a_batch_of_many():
    attention = make("additive")
    query, raw, lengths = torch.randn(4, 2, Q).double(), torch.randn(4, 5, M).double(), [5, 2, 0, 3]
    whole = attention(query, attention.prepare(raw, lengths))
    for b, length in enumerate(lengths):
        alone = attention(query[b : b + 1], attention.prepare(raw[b : b + 1, : max(length, 1)], [length]))
        torch.testing.assert_close(alone.context[0], whole.context[b])


def test_coverage_loss_is_what_is_attended_to_twice():
    weights = torch.tensor([[[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0], [9.0, 9.0]]])
    counted = torch.tensor([[True, True, True], [True, True, False]])
    # 0, 0.25, 0.5 + 0.5; 0, 0.5; the last is not counted.
    assert float(coverage_loss(weights, counted)) == pytest.approx((0.25 + 1.0 + 0.5) / 5)
    assert float(coverage_loss(weights, torch.zeros_like(counted))) == 0


def test_wrong_shapes_are_named():
    attention = GeneralAttention(Q, M, coverage=True)
    with pytest.raises(ShapeError, match="memory"):
        attention.prepare(torch.zeros(2, 3, M + 1))
    with pytest.raises(ShapeError, match="lengths"):
        attention.prepare(torch.zeros(2, 3, M), [1, 4])
    memory = attention.prepare(torch.zeros(2, 3, M))
    with pytest.raises(ShapeError, match="query"):
        attention(torch.zeros(3, 1, Q), memory)
    with pytest.raises(ShapeError, match="coverage"):
        attention(torch.zeros(2, 1, Q), memory, torch.zeros(2, 4))
    with pytest.raises(ParameterError, match="attention_size"):
        AdditiveAttention(Q, M, 0)
    with pytest.raises(ParameterError, match="memory_size"):
        GeneralAttention(Q, 0)
