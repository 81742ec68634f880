import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_logger() -> Iterator[None]:
    """Commands send the package's warnings to the terminal; the tests after them have theirs where they were."""
    logger = logging.getLogger("recurra")
    handlers, propagate = logger.handlers, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
