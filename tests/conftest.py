import os
import signal
import sys

import pytest
from hypothesis import settings

# The tensors of the tests are small: threads only make them slower. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and what is tested of it would be inherited so.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("recurra", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("recurra")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test draws the same random numbers, whichever tests run beside it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(20)
