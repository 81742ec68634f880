"""Bidirectional models in chunks that look ahead: what a chunk depends on, and what it equals."""

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import covering
import recurra
from every_cell import CELLS, KINDS, fitting, traits
from recurra import Recurrent
from recurra.cells import GRU, LSTM, Cell
from recurra.errors import ParameterError, ShapeError, StreamError
from recurra.kernels.native import extension
from recurra.models import ClassifierEnsemble, LinearChainCRF, SequenceClassifier, SequenceTagger
from recurra.models.acoustic import CTCRecognizer
from recurra.streaming import ChunkStepper, Stepper

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


def shaken(module: Any) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.eval()


def run(stepper: ChunkStepper, x: Any, cuts: list[int] | None = None) -> np.ndarray:
    """The outputs of whole sequences, read in calls that end at `cuts`."""
    state = stepper.new_state(x.shape[1])
    outputs = [stepper(part, state)[0] for part in np.split(np.asarray(x), cuts or [])]
    return np.concatenate([*outputs, stepper.finish(state)])


def in_windows(module: nn.LSTM, x: Tensor, chunk_size: int, look_ahead: int) -> np.ndarray:
    """The equations of one bidirectional layer of torch, chunk by chunk: its halves run as two layers."""
    forward, backward = (nn.LSTM(module.input_size, module.hidden_size) for _ in range(2))
    for own, suffix in ((forward, ""), (backward, "_reverse")):
        own.load_state_dict({name: getattr(module, name + suffix) for name, _ in own.named_parameters()})
    outputs = []
    with torch.no_grad():
        ahead, _ = forward(x)
        for first in range(0, len(x), chunk_size):
            behind = backward(x[first : first + chunk_size + look_ahead].flip(0))[0].flip(0)
            outputs.append(torch.cat([ahead[first : first + chunk_size], behind[:chunk_size]], dim=-1))
    return torch.cat(outputs).numpy()


class Tagger(nn.Module):
    """What a user writes: layers of both kinds, a residual connection around them, a product, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.causal = nn.LSTM(6, 6)
        self.both, self.above = nn.GRU(6, 3, bidirectional=True), recurra.LSTM(6, 4, 2, bidirectional=True, proj_size=2)
        self.out = nn.Linear(10, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        causal, (_, _) = self.causal(x)
        y, _ = self.both(causal)
        z, _ = self.above(torch.relu(y + causal) * 0.5)
        return torch.softmax(self.out(torch.cat([z, y * x], dim=-1)), dim=-1)


@covering.parametrize(
    {
        "cell": CELLS,
        "hidden": [1, 16, 17],
        "num_layers": [1, 3],
        "bias": [True, False],
        "zoneout": [0.0, 0.25],
        "batch": [1, 3],
    },
    traits={"cell": traits},
)
def test_a_sequence_within_the_look_ahead_is_the_whole(
    cell: Cell, hidden: int, num_layers: int, bias: bool, zoneout: float, batch: int
) -> None:
    size = fitting(cell, hidden)
    layer = shaken(Recurrent(cell, 5, size, num_layers, bias=bias, zoneout=zoneout, bidirectional=True))
    x = torch.randn(9, batch, 5)
    with torch.no_grad():
        expected = layer(x)[0].numpy()
    tolerance = 2e-5 * max(1.0, float(np.abs(expected).max()))
    for chunk_size, look_ahead in ((9, 1), (1, 9), (4, 6)):
        y = run(ChunkStepper(layer, chunk_size=chunk_size, look_ahead=look_ahead), x)
        assert np.abs(y - expected).max() < tolerance


@pytest.mark.parametrize(("chunk_size", "look_ahead"), [(1, 0), (1, 3), (4, 0), (4, 2), (3, 5), (20, 1)])
def test_chunks_are_those_of_the_paper(chunk_size: int, look_ahead: int) -> None:
    layer, x = nn.LSTM(4, 7, bidirectional=True), torch.randn(17, 2, 4)
    y = run(ChunkStepper(layer, chunk_size=chunk_size, look_ahead=look_ahead), x)
    expected = in_windows(layer, x, chunk_size, look_ahead)
    # Where the sequence ends, all that is pending is one chunk.
    whole = max(0, len(x) - chunk_size - look_ahead + 1)
    regular = -(-whole // chunk_size) * chunk_size
    assert np.abs(y[:regular] - expected[:regular]).max(initial=0) < 1e-6
    with torch.no_grad():
        assert np.abs(y[regular:] - layer(x)[0].numpy()[regular:]).max(initial=0) < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(0, 24),
    cuts=st.lists(st.integers(0, 24), max_size=8),
    chunk_size=st.integers(1, 6),
    look_ahead=st.integers(0, 6),
    batch=st.integers(1, 3),
)
def test_outputs_do_not_depend_on_how_steps_are_cut_into_calls(
    steps: int, cuts: list[int], chunk_size: int, look_ahead: int, batch: int
) -> None:
    torch.manual_seed(steps)
    stepper = ChunkStepper(Tagger().eval(), chunk_size=chunk_size, look_ahead=look_ahead)
    x = torch.randint(0, 20, (steps, batch)).numpy()
    state = stepper.new_state(batch)
    one_by_one = []
    for k, step in enumerate(x):
        y, _ = stepper(step, state)
        one_by_one.append(y)
        assert stepper.next_index(state).tolist() == [sum(map(len, one_by_one))] * batch
        assert stepper.num_pending(state) == k + 1 - sum(map(len, one_by_one)) <= stepper.latency
    outputs = run(stepper, x, sorted(cuts))
    assert np.array_equal(np.concatenate([np.empty((0, batch, 5)), *one_by_one, stepper.finish(state)]), outputs)
    assert outputs.shape == (steps, batch, 5)
    assert state == stepper.new_state(batch)


@pytest.mark.parametrize(("chunk_size", "look_ahead"), [(1, 0), (1, 4), (5, 3)])
def test_a_step_depends_on_nothing_after_the_look_ahead_of_its_chunk(chunk_size: int, look_ahead: int) -> None:
    model = shaken(Tagger())
    stepper = ChunkStepper(model, chunk_size=chunk_size, look_ahead=look_ahead)
    x = torch.randint(0, 20, (25, 1)).numpy()
    y = run(stepper, x)
    for step in range(1, 25):
        other = x.copy()
        other[step:] = (other[step:] + 7) % 20
        same = (run(stepper, other) == y).all(axis=(1, 2))
        # The chunks whose look-ahead ends before the step that changes.
        chunks = max(0, (step - look_ahead) // chunk_size)
        assert same[: chunks * chunk_size].all()
        assert not same[chunks * chunk_size :].all()


def test_errors_decrease_as_the_look_ahead_grows() -> None:
    torch.manual_seed(3)
    layer, x = recurra.LSTM(8, 24, 2, bidirectional=True), torch.randn(120, 4, 8)
    with torch.no_grad():
        expected = layer(x)[0].numpy()
    errors = [np.abs(run(ChunkStepper(layer, look_ahead=ahead), x) - expected).mean() for ahead in (0, 1, 2, 4, 8, 16)]
    assert all(after < before for before, after in pairwise(errors))
    assert errors[-1] < 0.01 * errors[0]


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_a_model_that_only_reads_forward_has_the_bits_of_its_steps(cell: Cell) -> None:
    layer, x = shaken(Recurrent(cell, 5, fitting(cell, 9))), torch.randn(8, 2, 5).numpy()
    y = run(ChunkStepper(layer, chunk_size=3, look_ahead=2), x)
    assert np.array_equal(y, Stepper(layer)(x)[0])


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_small_weights_are_near(weights: str) -> None:
    model, x = Tagger().eval(), torch.randint(0, 20, (12, 2)).numpy()
    exact, small = ChunkStepper(model, look_ahead=3), ChunkStepper(model, weights, look_ahead=3)
    assert 0 < np.abs(run(exact, x) - run(small, x)).max() < 2e-2
    assert small.weight_bytes < exact.weight_bytes


def test_a_whole_model_in_chunks() -> None:
    model, x = shaken(Tagger()), torch.randint(0, 20, (11, 3))
    with torch.no_grad():
        assert np.abs(run(ChunkStepper(model, chunk_size=6, look_ahead=5), x) - model(x).numpy()).max() < 1e-6


@pytest.mark.parametrize("with_crf", [True, False])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_tagger_gives_its_marginals(with_crf: bool, num_layers: int) -> None:
    tags: Any = 6
    if with_crf:
        allowed = torch.rand(6, 6) < 0.7
        tags = LinearChainCRF(6, allowed | torch.eye(6, dtype=torch.bool), torch.rand(6) < 0.8, torch.rand(6) < 0.8)
    model = shaken(SequenceTagger(LSTM(), 30, 5, 8, tags, num_layers))
    features, lengths = torch.randn(3, 9, 5), torch.full((3,), 9)
    with torch.no_grad():
        emissions = model.emissions(model.recurrent(features)[0])
        expected = (model.crf(emissions, lengths).marginals() if model.crf else emissions.softmax(2)).numpy()
    y = run(ChunkStepper(model, look_ahead=9), features.transpose(0, 1)).swapaxes(0, 1)
    assert np.abs(y - expected).max() < 1e-5
    # A shorter look-ahead is nearer than none.
    near, far = (run(ChunkStepper(model, look_ahead=k), features.transpose(0, 1)).swapaxes(0, 1) for k in (4, 0))
    assert np.abs(near - expected).mean() < np.abs(far - expected).mean()


@pytest.mark.parametrize("pooling", ["max", "mean", "attention", ("mean", "max")])
@pytest.mark.parametrize("members", [1, 2])
def test_a_classifier_has_the_scores_of_the_whole_at_its_end(pooling: Any, members: int) -> None:
    networks = [shaken(SequenceClassifier(GRU(), 4, 5, 3, num_layers=2, pooling=pooling)) for _ in range(members)]
    model = networks[0] if members == 1 else ClassifierEnsemble(networks).eval()
    x = torch.randn(2, 10, 4)
    with torch.no_grad():
        expected = model(x, torch.full((2,), 10))[0].numpy()
    y = run(ChunkStepper(model, chunk_size=2, look_ahead=9), x.transpose(0, 1))
    assert len(y) == 10
    assert np.abs(y[-1] - expected).max() < 1e-5


def test_a_bidirectional_recognizer_in_chunks_of_frames() -> None:
    model = shaken(CTCRecognizer(LSTM(), 20, 11, 16, 2, channels=4))
    frames = torch.randn(2, 32, 20)
    with torch.no_grad():
        scores, _ = model((frames, torch.tensor([32, 32])))
        expected = scores.logits.log_softmax(-1).numpy()
    # A step of the program reads the four frames that are one step after the subsampling.
    steps = frames.reshape(2, 8, 80).transpose(0, 1)
    y = run(ChunkStepper(model, chunk_size=4, look_ahead=6), steps, [3]).swapaxes(0, 1)
    assert np.abs(y - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (SequenceClassifier(GRU(), 4, 5, 3, pooling="last"), "pooling='max', 'mean' or 'attention'"),
        (SequenceClassifier(GRU(), 4, 5, 3, filters=8), "filters=0"),
    ],
)
def test_models_that_have_no_chunks(model: nn.Module, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        ChunkStepper(model, look_ahead=4)


def test_the_final_state_of_a_backward_direction_is_refused() -> None:
    class LastState(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(4, 5, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            _, state = self.recurrent(x)
            return state[-1]

    with pytest.raises(StreamError, match=r"recurrent: the final state of the backward direction.* read the output"):
        ChunkStepper(LastState(), look_ahead=4)


def test_a_stepper_says_what_to_write_instead() -> None:
    with pytest.raises(StreamError, match=r"recurra\.ChunkStepper\(model, look_ahead=8\)"):
        Stepper(nn.LSTM(3, 4, bidirectional=True))


@pytest.fixture
def stepper() -> ChunkStepper:
    return ChunkStepper(recurra.LSTM(3, 4, bidirectional=True), chunk_size=2, look_ahead=3)


@pytest.mark.parametrize(("shape", "expected"), [((3,), (0, 8)), ((1, 3), (0, 1, 8)), ((6, 2, 3), (2, 2, 8))])
def test_shapes(stepper: ChunkStepper, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y, state = stepper(x)
    assert (y.shape, y.dtype) == (expected, np.float32)
    assert state.rows == (shape[-2] if len(shape) > 1 else 1)
    tensor, _ = stepper(torch.from_numpy(x))
    assert torch.equal(tensor, torch.from_numpy(y))


def test_a_state_goes_on_elsewhere(stepper: ChunkStepper) -> None:
    x = np.random.default_rng(0).standard_normal((11, 2, 3)).astype(np.float32)
    whole = run(stepper, x)
    before, state = stepper(x[:7])
    again = stepper.read_state(state.to_bytes())
    assert again == state == pickle.loads(pickle.dumps(state))
    assert set(state.parts) == {"h_l0", "c_l0", "pending", "num_pending", "next_index"}
    after, _ = stepper(x[7:], again)
    assert np.array_equal(np.concatenate([before, after, stepper.finish(again)]), whole)
    state.reset([1])
    with pytest.raises(StreamError, match="differ in their pending steps"):
        stepper(x[7], state)
    assert stepper.num_pending(state.select([0])) == 3
    assert stepper.next_index(state).tolist() == [4, 0]


def test_states_of_other_models_and_windows_are_refused(stepper: ChunkStepper) -> None:
    layer = recurra.LSTM(3, 4, bidirectional=True)
    for other in (ChunkStepper(layer, chunk_size=2, look_ahead=3), ChunkStepper(layer, look_ahead=4)):
        with pytest.raises(StreamError, match="another model"):
            stepper(np.zeros(3, np.float32), other.new_state())
        with pytest.raises(StreamError, match="another model"):
            stepper.read_state(other.new_state().to_bytes())
        with pytest.raises(StreamError, match="another model"):
            stepper.finish(other.new_state())
    ahead = [ChunkStepper(layer, chunk_size=3, look_ahead=look).new_state().model for look in (1, 2)]
    assert ahead[0] != ahead[1]


@pytest.mark.parametrize(("part", "value"), [("num_pending", 9), ("num_pending", np.nan), ("next_index", -1)])
def test_a_made_up_state_is_refused(stepper: ChunkStepper, part: str, value: float) -> None:
    state = stepper.new_state()
    state.parts[part][:] = value
    with pytest.raises(StreamError, match=part):
        stepper(np.zeros(3, np.float32), state)


def test_a_made_up_id_is_refused() -> None:
    stepper = ChunkStepper(Tagger(), look_ahead=2)
    _, state = stepper(3)
    state.parts["pending"][:] = 1e6
    with pytest.raises(ParameterError, match="ids from 0 to 19"):
        stepper([4], state)


def test_refused_arguments(stepper: ChunkStepper) -> None:
    with pytest.raises(ShapeError, match="I = 3"):
        stepper(np.zeros(4, np.float32))
    with pytest.raises(ShapeError, match="expected 2 sequences"):
        stepper(np.zeros(3, np.float32), stepper.new_state(2))
    with pytest.raises(ParameterError, match=r"It is made by stepper.new_state\(\)"):
        stepper.finish(None)  # type: ignore[arg-type]
    layer = recurra.LSTM(3, 4, bidirectional=True)
    for options in ({"look_ahead": -1}, {"look_ahead": 2, "chunk_size": 0}, {"look_ahead": 2, "weights": "int4"}):
        with pytest.raises(ParameterError, match=next(reversed(options))):
            ChunkStepper(layer, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Pickle the model"):
        pickle.dumps(stepper)


def test_it_says_what_it_is(stepper: ChunkStepper) -> None:
    assert repr(stepper) == "ChunkStepper(3 features -> 8, chunks of 2, 3 ahead, state of 23)"
    assert (stepper.chunk_size, stepper.look_ahead, stepper.latency, stepper.state_size) == (2, 3, 4, 23)
