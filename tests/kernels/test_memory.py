"""Memory runs out: an error that can be caught, although threads would have used that memory."""

import subprocess
import sys

import pytest

from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(
    not extension.is_installed() or sys.platform != "linux", reason="needs the C++ extension and Linux's limits"
)

# Of so many rows of one unit, what two threads need is several times as large as the tensors, which still fit.
PROGRAM = """
import resource
import torch
import recurra

torch.set_num_threads(2)
layer = recurra.LSTM(1, 1, backend="native")
x = torch.ones(1, 2_000_000, 1)

def run():
    with torch.no_grad():
        layer(x)

if {backward}:
    run = layer(x)[0].sum().backward
else:
    layer(x[:, :100_000])  # starts the threads
pages = int(open("/proc/self/statm").read().split()[0])
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + {spare} * 2**20, before[1]))
try:
    run()
except MemoryError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, before)
layer(x[:, :1000])[0].sum().backward()
print("serves again")
"""


@pytest.mark.parametrize(
    ("backward", "spare"),
    [pytest.param(False, 220, marks=pytest.mark.slow), (True, 130)],
    ids=["forward", "backward"],
)
def test_running_out_of_memory_is_an_error(backward: bool, spare: int) -> None:
    program = PROGRAM.format(backward=backward, spare=spare)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["the native kernel could not allocate its buffers", "serves again"]
