import os
import sys

import pytest
from hypothesis import settings

# The tensors of the tests are small: threads only make them slower. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("recurra", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("recurra")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test draws the same random numbers, whichever tests run beside it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(20)
