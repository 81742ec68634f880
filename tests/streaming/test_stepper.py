"""A stepper's calls: what it reads, what it refuses, and where it runs."""

import pickle
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.errors import ParameterError, RecurraError, ShapeError, StreamError
from recurra.kernels.native import extension
from recurra.streaming import Stepper

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


@pytest.fixture
def stepper() -> Stepper:
    return Stepper(recurra.LSTM(3, 4))


@pytest.fixture
def reader() -> Stepper:
    return Stepper(torch.nn.Sequential(torch.nn.Embedding(7, 3), recurra.GRU(3, 4)))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3), (5, 2, 3)])
def test_shapes(stepper: Stepper, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y, state = stepper(x)
    assert y.shape == (*shape[:-1], 4)
    assert y.dtype == np.float32
    assert state.rows == (shape[-2] if len(shape) > 1 else 1)


@pytest.mark.parametrize("shape", [(), (2,), (5, 2)])
def test_shapes_of_ids(reader: Stepper, shape: tuple[int, ...]) -> None:
    ids = np.random.default_rng(0).integers(0, 7, shape)
    y, state = reader(ids)
    assert y.shape == (*shape, 4)
    again = [reader(torch.from_numpy(np.asarray(ids)))[0].numpy(), reader(ids.astype(np.int32))[0]]
    assert all(np.array_equal(y, other) for other in again)
    assert state.rows == (shape[-1] if shape else 1)


def test_an_id_may_be_an_int(reader: Stepper) -> None:
    assert np.array_equal(reader(5)[0], reader(np.array(5))[0])


@pytest.mark.parametrize(
    "convert", [torch.from_numpy, np.float64, np.asfortranarray, lambda x: x[::-1][::-1], np.ndarray.tolist]
)
def test_other_arrays_are_converted(stepper: Stepper, convert: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    expected, _ = stepper(x)
    y, _ = stepper(convert(x))
    assert isinstance(y, torch.Tensor if convert is torch.from_numpy else np.ndarray)
    assert np.array_equal(np.asarray(y), expected)


def test_tensors_share_memory(stepper: Stepper) -> None:
    x, out = torch.randn(2, 3), torch.empty(2, 4)
    y, _ = stepper(x, None, out)
    assert y is out
    assert np.array_equal(out.numpy(), stepper(x.numpy())[0])


def test_the_state_is_changed_in_place_and_returned(stepper: Stepper) -> None:
    state = stepper.new_state()
    before = state.values.copy()
    _, after = stepper(np.ones(3, np.float32), state)
    assert after is state
    assert not np.array_equal(state.values, before)


def test_a_step_allocates_nothing(stepper: Stepper) -> None:
    x, out, state = np.ones(3, np.float32), np.empty(4, np.float32), stepper.new_state()
    for _ in range(3):
        stepper(x, state, out)
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(1000):
            stepper(x, state, out)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    grown = sum(one.size_diff for one in after.compare_to(before, "filename") if "tracemalloc" not in str(one))
    assert grown < 2000


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(4, np.float32), "I = 3"),
        (np.zeros((1, 1, 1, 3), np.float32), r"shape \(I,\), \(B, I\) or \(T, B, I\)"),
        (np.array(["a", "b", "c"]), "an array of numbers"),
        (np.zeros(3, complex), "an array of numbers"),
    ],
)
def test_refused_inputs(stepper: Stepper, x: Any, message: str) -> None:
    state = stepper.new_state()
    with pytest.raises(RecurraError, match=message):
        stepper(x, state)
    assert not state.values.any()


@pytest.mark.parametrize("ids", [7, -1, np.array([0, 7]), np.array([[0], [-3]]), 2**70, np.array([0.5])])
def test_refused_ids(reader: Stepper, ids: Any) -> None:
    with pytest.raises(ParameterError, match="ids from 0 to 6"):
        reader(ids)


def test_refused_states(stepper: Stepper) -> None:
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ShapeError, match="expected 3 sequences, as the state has, got 2"):
        stepper(x, stepper.new_state(3))
    with pytest.raises(StreamError, match="belongs to another model"):
        stepper(x, Stepper(recurra.LSTM(3, 4)).new_state(2))
    with pytest.raises(ParameterError, match=r"It is made by stepper.new_state\(\)"):
        stepper(x, torch.zeros(2, 4))


@pytest.mark.parametrize(
    "out",
    [np.empty(4, np.float32), np.empty((2, 4)), np.empty((2, 5), np.float32), np.empty((4, 2), np.float32).T, [0]],
)
def test_refused_outputs(stepper: Stepper, out: Any) -> None:
    with pytest.raises(ShapeError, match="out: expected a contiguous, writable float32 array"):
        stepper(np.zeros((2, 3), np.float32), None, out)


def test_refused_parameters() -> None:
    layer = recurra.LSTM(3, 4)
    with pytest.raises(ParameterError, match="weights: expected one of float32, bfloat16, int8"):
        Stepper(layer, "float16")
    with pytest.raises(ParameterError, match="threads"):
        Stepper(layer, threads=0)
    with pytest.raises(ParameterError, match="model: expected a"):
        Stepper("runs/a")  # type: ignore[arg-type]
    with torch.no_grad():
        next(layer.parameters())[0, 0] = np.nan
    with pytest.raises(StreamError, match="finite"):
        Stepper(layer)


def test_later_changes_of_the_model_have_no_effect() -> None:
    layer = recurra.LSTM(3, 4)
    stepper, x = Stepper(layer), np.ones(3, np.float32)
    before, _ = stepper(x)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
    assert np.array_equal(stepper(x)[0], before)


def test_many_threads_with_states_of_their_own() -> None:
    stepper = Stepper(recurra.GRU(3, 40))
    x = np.random.default_rng(1).standard_normal((60, 3)).astype(np.float32)
    expected = np.stack([stepper(one)[0] for one in x[:1]])
    state = stepper.new_state()
    expected = np.stack([stepper(one, state)[0] for one in x])
    results: dict[int, np.ndarray] = {}

    def run(k: int) -> None:
        own = stepper.new_state()
        for _ in range(20):
            own.reset()
            results[k] = np.stack([stepper(one, own)[0] for one in x])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[k], expected) for k in range(4))


def test_a_stepper_is_not_pickled(stepper: Stepper) -> None:
    with pytest.raises(TypeError, match="Pickle the model"):
        pickle.dumps(stepper)


def test_its_repr_says_its_sizes(stepper: Stepper) -> None:
    assert repr(stepper).startswith("Stepper(3 features -> 4, state of 8, ")
