"""The engine within threads, processes and models."""

import copy
import io
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from against_reference import NATIVE, assert_as_reference, draw
from torch import Tensor, nn

from agreement import assert_agree, gradients
from every_cell import CELLS, Peephole, ThreeParts
from recurra import LSTM, RNN, Recurrent, cells

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
# The forked and spawned interpreters of these tests find the tests' own modules here.
TESTS = Path(__file__).parents[1]


@pytest.mark.usefixtures("two_threads")
def test_calls_from_several_threads_at_once() -> None:
    layers = [Recurrent(cell, 5, 37, bidirectional=True) for cell in (cells.LSTM(), cells.GRU(), Peephole())]
    # One row, whose units are divided among threads that wait for each other.
    layers.append(Recurrent(cells.LSTM(), 5, 131))
    inputs = [torch.randn(23, 32, 5)] * 3 + [torch.randn(9, 1, 5)]
    work_of = [(layer, x, gradients(layer(x), layer.parameters())) for layer, x in zip(layers, inputs, strict=True)]
    failures: list[BaseException] = []

    def work(layer: Recurrent, x: Tensor, gradient: list[Tensor]) -> None:
        try:
            for _ in range(5):
                assert_agree(gradients(layer(x), layer.parameters()), gradient)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=given, daemon=True) for given in work_of * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures, failures[0]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [3, 8])
def test_more_threads_than_cores_wait_for_each_other(threads: int) -> None:
    torch.set_num_threads(threads)
    for batch in (1, threads - 1):
        assert_as_reference(draw(cells.LSTM(), 30, batch, 5, 331))


FORKED = """
import os, sys, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from recurra import cells, kernels
from recurra.kernels import Weights

torch.set_num_threads(2)
H = 40
weights = Weights(torch.randn(4 * H, 1), torch.randn(4 * H, H).requires_grad_())
x, state = torch.randn(30, 32, 1), (torch.zeros(32, H), torch.zeros(32, H))
M = 131
one_row = (
    torch.randn(9, 1, 1),
    (torch.zeros(1, M), torch.zeros(1, M)),
    Weights(torch.randn(4 * M, 1) / M, torch.randn(4 * M, M).requires_grad_() / M),
)

def work():
    # Little outside the engine, which is given two threads: torch's own threads hang after a fork.
    by_rows = kernels.run("native", cells.LSTM(), x, state, weights)[0].detach()[:, 0]
    by_units = kernels.run("native", cells.LSTM(), *one_row)[0].detach()[:, 0]
    return torch.cat([by_rows.ravel(), by_units.ravel()])

expected = work()

class Made(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return work()

if sys.argv[1] == "loader":
    for value in DataLoader(Made(), num_workers=2, batch_size=None):
        torch.testing.assert_close(value, expected)
else:
    child = os.fork()
    if not child:
        torch.testing.assert_close(work(), expected)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
torch.testing.assert_close(work(), expected)
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("how", ["forward", pytest.param("loader", marks=pytest.mark.slow)])
def test_a_fork_after_use(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, how], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "done\n", done.stderr


class Model(nn.Module):
    """A recurrent layer among others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Recurrent(Peephole(), 3, 6, 2, bidirectional=True)
        self.head = nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0]).squeeze(2)


def test_copies_and_pickles_after_use() -> None:
    model, x = Model(), torch.randn(4, 2, 3)
    model(x).sum().backward()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(x), model(x))
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), model(x))


def test_a_training_step_equals_torch_s() -> None:
    torch.manual_seed(0)
    ours, theirs = LSTM(3, 9, 2, bidirectional=True), nn.LSTM(3, 9, 2, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(6, 5, 3)
    for layer in (ours, theirs):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            layer(x)[0].square().mean().backward()
            optimizer.step()
    assert_agree(list(ours.state_dict().values()), list(theirs.state_dict().values()))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nan_and_infinity_pass_as_in_the_reference(nonlinearity: str) -> None:
    x = torch.zeros(3, 4, 1)
    x[1] = torch.tensor([[torch.nan], [torch.inf], [-torch.inf], [1.0]])
    layer = RNN(1, 2, nonlinearity=nonlinearity)
    with torch.no_grad():
        results = [kernels_of(layer, x, name) for name in ("native", "reference")]
    torch.testing.assert_close(results[0], results[1], equal_nan=True)


def kernels_of(layer: Any, x: Tensor, backend: str) -> Tensor:
    layer.backend = backend
    return layer(x)[0]


def test_every_cell_of_the_tests_is_served() -> None:
    assert set(NATIVE) == set(CELLS)
    assert ThreeParts() in NATIVE
