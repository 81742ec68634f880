"""Runs to serve, and servers in a thread of the test's process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis_server import redis_server
from serving import Serve, Serving

from recurra import LanguageModel
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models

TEXT = "the quick brown fox jumps over the lazy dog. " * 40


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small language model, named "book"."""
    folder = tmp_path_factory.mktemp("runs") / "book"
    model = LanguageModel(hidden_size=8, max_steps=3, batch_size=4, device="cpu", truncation_length=20)
    model.fit({"train": TEXT, "validation": TEXT[:400]}, progress=False).save(folder)
    return folder


@pytest.fixture(scope="session")
def models(run: Path) -> dict[str, ServedModel]:
    if not extension.is_installed():
        pytest.skip("a stream needs the C++ extension")
    return load_models([str(run)])


@pytest.fixture
def serve(models: dict[str, ServedModel], tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of the small model; arguments are those of `ServerOptions`."""
    with ExitStack() as stack:

        def start(**options: Any) -> Serving:
            store = options.pop("store", f"sqlite:{tmp_path / 'sessions.db'}")
            return stack.enter_context(Serving(models, ServerOptions(store=store, **{"port": 0, **options})))

        yield start


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for all tests of a process; skips where redis-server is not installed."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'sessions.db'}"
    import redis

    url = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushall()
    return url
