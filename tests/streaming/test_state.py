"""The state of streams: bytes, copies, and whose it is."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import recurra
from recurra.errors import ParameterError, StreamError
from recurra.kernels.native import extension
from recurra.streaming import Stepper, StreamState

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


@pytest.fixture
def stepper() -> Stepper:
    torch.manual_seed(3)
    return Stepper(recurra.LSTM(3, 4, 2))


@pytest.fixture
def state(stepper: Stepper) -> StreamState:
    return stepper(np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float32))[1]


def test_a_snapshot_is_read_again(stepper: Stepper, state: StreamState) -> None:
    content = state.to_bytes()
    again = stepper.read_state(content)
    assert again == state
    assert again is not state
    x = np.ones((2, 3), np.float32)
    assert np.array_equal(stepper(x, again)[0], stepper(x, state)[0])
    state.write(content)
    assert state != again


def test_another_process_continues(stepper: Stepper, state: StreamState) -> None:
    program = (
        "import sys, numpy, torch, recurra; from recurra.streaming import Stepper; torch.manual_seed(3);"
        "s = Stepper(recurra.LSTM(3, 4, 2)); state = s.read_state(sys.stdin.buffer.read());"
        "sys.stdout.buffer.write(s(numpy.ones((2, 3), numpy.float32), state)[0].tobytes())"
    )
    ran = subprocess.run([sys.executable, "-c", program], input=state.to_bytes(), capture_output=True, check=True)
    assert ran.stdout == stepper(np.ones((2, 3), np.float32), state)[0].tobytes()


def test_pickles_and_copies(state: StreamState) -> None:
    other = pickle.loads(pickle.dumps(state))
    assert other == state
    assert list(other.parts) == list(state.parts) == ["h_l0", "c_l0", "h_l1", "c_l1"]
    copy = state.copy()
    copy.values[0, 0] += 1
    assert copy != state


def test_select_and_join(state: StreamState) -> None:
    swapped = state.select([1, 0])
    assert np.array_equal(swapped.values, state.values[::-1])
    joined = StreamState.join([swapped, state.select([0])])
    assert joined.rows == 3
    assert np.array_equal(joined.values[2], state.values[0])
    with pytest.raises(ParameterError, match="one or more states"):
        StreamState.join([])


def test_reset(state: StreamState) -> None:
    other = state.values[1].copy()
    state.reset([0])
    assert not state.values[0].any()
    assert np.array_equal(state.values[1], other)
    state.reset()
    assert not state.values.any()


def test_the_state_of_another_model_is_refused(state: StreamState) -> None:
    other = Stepper(recurra.LSTM(3, 4, 2))  # of the same sizes, with other weights
    with pytest.raises(StreamError, match="it belongs to another model: its hash begins with"):
        other.read_state(state.to_bytes())
    with pytest.raises(StreamError, match="states of one model"):
        StreamState.join([state, other.new_state()])


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "magic", "version", "empty"])
def test_damaged_bytes_are_refused(stepper: Stepper, state: StreamState, damage: str) -> None:
    content = bytearray(state.to_bytes())
    match damage:
        case "cut":
            del content[-1]
        case "longer":
            content += b"\0"
        case "flipped":
            content[-3] ^= 1
        case "magic":
            content[0] ^= 1
        case "version":
            content[8] = 9
        case "empty":
            content.clear()
    before = state.copy()
    for read in (stepper.read_state, state.write):
        with pytest.raises(StreamError, match="state: "):
            read(bytes(content))
    assert state == before


def test_a_state_of_another_number_of_sequences_is_refused(stepper: Stepper, state: StreamState) -> None:
    with pytest.raises(StreamError, match="expected 1 sequences, got 2"):
        stepper.new_state().write(state.to_bytes())
