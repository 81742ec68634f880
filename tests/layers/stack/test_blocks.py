"""The blocks of a stack: each against its equations, against itself step by step, and its gradients."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv1d, group_norm

from agreement import assert_agree, gradients
from recurra import cells
from recurra.errors import ParameterError, ShapeError
from recurra.layers.stack import (
    LRU,
    MLSTM,
    QRNN,
    RIM,
    Activation,
    Block,
    CausalConvolution,
    Chain,
    ClockworkRNN,
    Gated,
    GatedMLP,
    HeadNorm,
    LocalAttention,
    RecurrentBlock,
    Residual,
)

BLOCKS: dict[str, Callable[[], Block]] = {
    "recurrent": lambda: RecurrentBlock(cells.LSTM(), 4, 4, 3),
    "depthwise": lambda: CausalConvolution(4, 4, 3),
    "dense": lambda: CausalConvolution(4, 3, 2, depthwise=False),
    "pointwise convolution": lambda: CausalConvolution(4, 4, 1),
    "attention": lambda: LocalAttention(4, 4, 4, heads=2),
    "multi-query": lambda: LocalAttention(4, 8, 3, heads=4, kv_heads=1),
    "present alone": lambda: LocalAttention(4, 4, 1),
    "mlp": lambda: GatedMLP(4, 4, 6),
    "lru": lambda: LRU(4, 3),
    "mlstm": lambda: MLSTM(4, 4, 2),
    "qrnn": lambda: QRNN(4, 3, 3),
    "clockwork": lambda: ClockworkRNN(4, 5, (1, 2, 3), batch_first=True),
    "clockwork of two parts": lambda: ClockworkRNN(4, 4, 2, batch_first=True, cell=cells.LSTM()),
    "rim": lambda: RIM(4, 6, 3, 2, batch_first=True),
    "norm": lambda: HeadNorm(4, 2),
    "gated": lambda: Gated(Chain([CausalConvolution(3, 3), RecurrentBlock(cells.RGLRU(), 3, 3)]), 4, 4),
    "residual": lambda: Residual(LocalAttention(4, 4, 3), "layer"),
}
MADE = pytest.mark.parametrize("make", BLOCKS.values(), ids=BLOCKS)


def double(make: Callable[[], Block]) -> Block:
    torch.manual_seed(1)
    return make().double()


def by_steps(block: Block, x: Tensor, state: Any, lengths: Tensor, resets: Tensor) -> tuple[Tensor, list[Any]]:
    """The output of padded x (B, T, I) and the final state of each sequence, one sequence and one step at a time."""
    output, finals = x.new_zeros(*x.shape[:2], block.output_size), []
    for row, length in enumerate(lengths.tolist()):
        own = select(state, row)
        for t in range(length):
            own = block.initial_state(1) if resets[row, t] else own
            put_out, own = block.step(x[row : row + 1, t], own)
            output = output.index_put((torch.tensor([row]), torch.tensor([t])), put_out)
        finals.append(own)
    return output, finals


def select(state: Any, row: int) -> Any:
    """The state of one sequence."""
    if isinstance(state, Tensor):
        return state[:, row : row + 1]
    parts = [select(part, row) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def after_some(block: Block, batch: int) -> Any:
    """A state after a few steps."""
    with torch.no_grad():
        return block(torch.randn(batch, 5, block.input_size, dtype=torch.float64))[1]


@MADE
def test_the_whole_is_its_steps_with_ragged_lengths_and_resets(make: Callable[[], Block]) -> None:
    block = double(make)
    lengths, steps = torch.tensor([9, 0, 1, 6]), 9
    resets = torch.zeros(4, steps, dtype=torch.bool)
    resets[0, [3, 4, 8]] = resets[2, 0] = resets[3, 5] = resets[3, 7] = True
    values = torch.randn(4, steps, 4, dtype=torch.float64)
    x = values.masked_fill((torch.arange(steps) >= lengths[:, None])[:, :, None], float("nan")).requires_grad_()
    state = after_some(block, 4)
    actual = block(x, state, lengths, resets)
    output, finals = by_steps(block, x, state, lengths, resets)
    assert_agree(actual[0], output)
    for row, final in enumerate(finals):
        assert_agree(select(actual[1], row), final)
    wanted = [x, *block.parameters()]
    assert_agree(gradients(actual[0], wanted), gradients(output, wanted))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pieces_of_any_size_are_the_whole(data: st.DataObject) -> None:
    block = double(data.draw(st.sampled_from(list(BLOCKS.values()))))
    sizes = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    batch, steps = data.draw(st.integers(1, 3)), sum(sizes)
    x, resets = torch.randn(batch, steps, 4, dtype=torch.float64), torch.rand(batch, steps) < 0.2
    whole, final = block(x, None, None, resets)
    state, outputs = None, []
    for piece, marks in zip(x.split(sizes, 1), resets.split(sizes, 1), strict=True):
        output, state = block(piece, state, None, marks)
        outputs.append(output)
    assert_agree((torch.cat(outputs, 1), state), (whole, final))


@MADE
def test_nothing_crosses_a_boundary(make: Callable[[], Block]) -> None:
    block = double(make)
    x, resets = torch.randn(1, 6, 4, dtype=torch.float64, requires_grad=True), torch.zeros(1, 6, dtype=torch.bool)
    resets[0, 3] = True
    output, state = block(x, after_some(block, 1), None, resets)
    (gradient,) = torch.autograd.grad(output[:, 3:].sum(), x)
    assert not gradient[:, :3].any()
    assert_agree((output[:, 3:], state), block(x[:, 3:]))


@MADE
def test_gradcheck(make: Callable[[], Block]) -> None:
    block = double(make)
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    parameters = dict(block.named_parameters())
    resets = torch.tensor([[False, False, True, False], [False] * 4])

    def run(x: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(block, named, (x, None, torch.tensor([4, 3]), resets))[0]

    assert torch.autograd.gradcheck(run, (x, *parameters.values()), fast_mode=True)


@MADE
@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (2, 0)])
def test_nothing_to_read(make: Callable[[], Block], batch: int, steps: int) -> None:
    block = double(make)
    state = block.initial_state(batch)
    output, after = block(torch.zeros(batch, steps, 4, dtype=torch.float64), state)
    assert output.shape == (batch, steps, block.output_size)
    assert_agree(after, state)


@pytest.mark.parametrize("depthwise", [True, False])
def test_a_causal_convolution_is_a_padded_one(depthwise: bool) -> None:
    block = double(lambda: CausalConvolution(4, 4, 3, depthwise=depthwise))
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    before = torch.nn.functional.pad(x.transpose(1, 2), (2, 0))
    expected = conv1d(before, block.weight, block.bias, groups=4 if depthwise else 1)  # type: ignore[arg-type]
    assert_agree(block(x)[0], expected.transpose(1, 2))


@pytest.mark.parametrize(("window", "heads", "kv_heads"), [(1, 1, 1), (3, 2, 2), (20, 4, 2), (40, 2, 1)])
def test_attention_is_that_of_the_equations(window: int, heads: int, kv_heads: int) -> None:
    block = double(lambda: LocalAttention(3, 8, window, heads, kv_heads))
    assert isinstance(block, LocalAttention)
    x = torch.randn(3, 30, dtype=torch.float64).t().unsqueeze(0)
    size = 8 // heads

    def turned(vector: Tensor, position: int) -> Tensor:
        speed = torch.tensor([10_000.0 ** (-2 * k / size) for k in range(size // 2)], dtype=torch.float64)
        pairs = torch.complex(vector[: size // 2], vector[size // 2 :]) * torch.polar(
            torch.ones_like(speed), position * speed
        )
        return torch.cat([pairs.real, pairs.imag])

    q, k, v = (layer(x)[0].unflatten(1, (-1, size)) for layer in (block.query, block.key, block.value))
    rows = []
    for t in range(30):
        seen, heads_of = range(max(0, t - window + 1), t + 1), []
        for head in range(heads):
            other = head // (heads // kv_heads)
            scores = torch.stack([turned(q[t, head], t) @ turned(k[s, other], s) for s in seen]) / math.sqrt(size)
            heads_of.append(scores.softmax(0) @ v[list(seen), other])
        rows.append(torch.cat(heads_of))
    assert_agree(block(x)[0][0], block.output(torch.stack(rows)))


@pytest.mark.parametrize("steps", [7, 70])
def test_an_mlstm_is_that_of_the_equations(steps: int) -> None:
    block = double(lambda: MLSTM(3, 4, 2))
    assert isinstance(block, MLSTM)
    x = torch.randn(1, steps, 3, dtype=torch.float64)
    q, k, v = (layer(x)[0].unflatten(1, (2, 2)) for layer in (block.query, block.key, block.value))
    k = k / math.sqrt(2)
    admit, forget = (part.unsqueeze(-1) for part in block.gates(x)[0].chunk(2, 1))
    memory, normalizer = torch.zeros(2, 2, 2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    rows = []
    for t in range(steps):
        i, f = admit[t].exp(), forget[t].sigmoid()
        memory = f.unsqueeze(-1) * memory + i.unsqueeze(-1) * v[t].unsqueeze(2) * k[t].unsqueeze(1)
        normalizer = f * normalizer + i * k[t]
        norm = (normalizer * q[t]).sum(1, keepdim=True).abs().clamp(min=1)
        rows.append(((memory @ q[t].unsqueeze(2)).squeeze(2) / norm).flatten())
    assert_agree(block(x)[0], block.output(x).sigmoid() * torch.stack(rows))


def test_gates_of_any_size_leave_an_mlstm_finite() -> None:
    block = MLSTM(3, 4, 2)
    x = (300 * torch.randn(2, 90, 3)).requires_grad_()
    output, state = block(x)
    assert torch.isfinite(output).all()
    for gradient in gradients((output, state), [x, *block.parameters()]):
        assert torch.isfinite(gradient).all()


def test_an_lru_is_that_of_the_equations() -> None:
    block = double(lambda: LRU(3, 5, radii=(0.2, 0.9)))
    assert isinstance(block, LRU)
    x = torch.randn(1, 40, 3, dtype=torch.float64)
    units = torch.complex(*block.weight_ih.chunk(2))
    out = torch.complex(block.weight_ho[:, :5], -block.weight_ho[:, 5:])
    eigenvalues = (-block.nu.exp() + 1j * block.theta.exp()).exp()
    assert ((eigenvalues.abs() > 0.2) & (eigenvalues.abs() < 0.9)).all()
    assert torch.allclose(block.gamma.exp(), (1 - eigenvalues.abs().square()).sqrt(), atol=1e-6)  # set in float32
    h, rows = torch.zeros(5, dtype=torch.complex128), []
    for t in range(40):
        h = eigenvalues * h + block.gamma.exp() * (units @ x[0, t].to(h.dtype))
        rows.append((out @ h).real + block.skip * x[0, t])
    assert_agree(block(x)[0][0], torch.stack(rows))


def test_a_qrnn_is_that_of_the_equations() -> None:
    block = double(lambda: QRNN(3, 4, 2))
    assert isinstance(block, QRNN)
    x = torch.randn(1, 20, 3, dtype=torch.float64)
    z, f, o = block.convolution(x)[0][0].chunk(3, 1)
    c, rows = torch.zeros(4, dtype=torch.float64), []
    for t in range(20):
        c = f[t].sigmoid() * c + (1 - f[t].sigmoid()) * z[t].tanh()
        rows.append(o[t].sigmoid() * c)
    assert_agree(block(x)[0][0], torch.stack(rows))


def test_pointwise_blocks_are_their_equations() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    norm = double(lambda: HeadNorm(4, 2))
    assert_agree(norm(x)[0], group_norm(x.flatten(0, 1), 2).unflatten(0, (2, 3)))
    mlp = double(lambda: GatedMLP(4, 5, 3))
    assert isinstance(mlp, GatedMLP)
    gelu = torch.nn.functional.gelu
    assert_agree(mlp(x)[0], mlp.output(gelu(mlp.gate(x)) * mlp.value(x)))
    inner = Activation(3, "silu")
    gated = double(lambda: Gated(inner, 4, 4))
    assert isinstance(gated, Gated)
    value = gated.value(x)
    assert_agree(gated(x)[0], gated.output(gelu(gated.gate(x)) * value * value.sigmoid()))
    residual = double(lambda: Residual(Activation(4, "tanh"), "rms"))
    scaled = x / (x.square().mean(2, keepdim=True) + 1e-6).sqrt()
    assert_agree(residual(x)[0], x + scaled.tanh())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="depthwise: expected False where 3"):
        CausalConvolution(3, 4)
    with pytest.raises(ParameterError, match=r"heads: .*even size, for rotary"):
        LocalAttention(4, 6, 3, heads=2)
    with pytest.raises(ParameterError, match="kv_heads: expected a divisor of heads = 2"):
        LocalAttention(4, 8, 3, heads=2, kv_heads=3)
    with pytest.raises(ParameterError, match="window: expected a whole number of at least 1"):
        LocalAttention(4, 8, 0)
    with pytest.raises(ParameterError, match="heads: expected a divisor of the 4"):
        HeadNorm(4, 3)
    with pytest.raises(ParameterError, match="heads: expected a divisor of the 4"):
        MLSTM(4, 4, 3)
    with pytest.raises(ParameterError, match="radii: expected two numbers"):
        LRU(4, radii=(0.9, 0.5))
    with pytest.raises(ParameterError, match="max_phase: expected a number above 0"):
        LRU(4, max_phase=7)
    with pytest.raises(ParameterError, match="blocks: expected to read the 4 features"):
        Chain([HeadNorm(4), HeadNorm(3)])
    with pytest.raises(ParameterError, match="block: expected to put out the 4 features"):
        Residual(GatedMLP(4, 3, 2))
    with pytest.raises(ParameterError, match="norm: expected one of rms"):
        Residual(HeadNorm(4), "batch")
    with pytest.raises(ParameterError, match="name: expected one of gelu"):
        Activation(4, "swish")
    block = LocalAttention(4, 4, 3)
    x = torch.zeros(2, 5, 4)
    with pytest.raises(ShapeError, match="input_size = 4 features"):
        block(torch.zeros(2, 5, 3))
    with pytest.raises(ShapeError, match="3 dimensions"):
        block(torch.zeros(5, 4))
    with pytest.raises(ShapeError, match="2 dimensions"):
        block.step(x)
    with pytest.raises(ShapeError, match=r"resets.*\(B, T\)"):
        block(x, None, None, torch.zeros(5, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"state \(keys\)"):
        block(x, block.initial_state(3))
    with pytest.raises(ShapeError, match="AttentionState"):
        block(x, ())
    with pytest.raises(ShapeError, match=r"state \(inputs\): expected a tensor"):
        CausalConvolution(4, 4)(x, ())
    with pytest.raises(ShapeError, match="a tuple of 2 states"):
        Chain([HeadNorm(4), HeadNorm(4)])(x, ((),))
