"""Both stores: what is committed is there, a step is replaced once, and idle sessions end."""

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra.errors import MissingExtraError
from recurra.server.service import open_store
from recurra.server.session import Session, Store, StoreError, new_session_id
from recurra.server.sqlite_store import SqliteStore


def _session(step: int = 0, session_id: str = "a", state: bytes = b"\x00\xff", result: str = "") -> Session:
    return Session(session_id, "book", "owner", step, state, b"digest" if step else b"", result)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = open_store(store_url, 100.0)
    yield store
    store.close()


def test_a_session_is_found_as_it_was_stored(store: Store) -> None:
    assert store.create(_session(), 10)
    assert store.load(["a", "b"]) == {"a": _session()}
    assert store.load([]) == {}
    changed = _session(1, state=b"later", result='{"text": "ü\\n"}')
    assert store.commit([changed]) == [True]
    assert store.load(["a"]) == {"a": changed}
    assert store.count() == 1
    store.delete("a")
    store.delete("a")
    assert store.load(["a"]) == {}
    assert store.count() == 0


def test_a_step_is_replaced_once(store: Store) -> None:
    for name in ("a", "b"):
        store.create(_session(session_id=name), 10)
    assert store.commit([_session(1), _session(2, "b"), _session(1, "c")]) == [True, False, False]
    assert store.commit([_session(1, state=b"again")]) == [False]
    assert store.load(["a"])["a"].state == b"\x00\xff"
    assert store.load(["b"])["b"].step == 0
    assert store.commit([]) == []


def test_of_several_commits_of_a_step_one_wins(store_url: str) -> None:
    stores = [open_store(store_url, 100.0) for _ in range(4)]
    stores[0].create(_session(), 10)
    won: list[int] = []

    def step(number: int) -> None:
        commits = (stores[number].commit([_session(k, state=bytes([number]))]) for k in range(1, 40))
        won.extend(k for k, done in enumerate(commits, start=1) if done == [True])

    threads = [threading.Thread(target=step, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = stores[0].load(["a"])["a"].step
    assert sorted(won) == list(range(1, last + 1))
    assert last > 0
    for one in stores:
        one.close()


def test_there_are_no_more_sessions_than_allowed(store: Store) -> None:
    assert [store.create(_session(session_id=name), 2) for name in "abc"] == [True, True, False]
    store.delete("a")
    assert store.create(_session(session_id="c"), 2)
    assert set(store.load(["a", "b", "c"])) == {"b", "c"}


def test_many_sessions_are_read_at_once(store: Store) -> None:
    names = [new_session_id() for _ in range(2500)]
    for name in names[:30]:
        store.create(_session(session_id=name), 3000)
    assert set(store.load(names)) == set(names[:30])


def test_unused_sessions_end(tmp_path: Path) -> None:
    clock = [1000.0]
    store = SqliteStore(tmp_path / "s.db", 60.0, lambda: clock[0])
    for name in ("a", "b"):
        store.create(_session(session_id=name), 2)
    clock[0] = 1050.0
    assert store.commit([_session(1)]) == [True]
    clock[0] = 1070.0
    assert set(store.load(["a", "b"])) == {"a"}
    assert store.count() == 1
    assert store.commit([_session(1, "b")]) == [False]
    assert store.create(_session(session_id="c"), 2)
    clock[0] = 2000.0
    assert store.expire() == 2
    assert store.expire() == 0
    store.close()


def test_unused_sessions_end_in_redis(redis_url: str) -> None:
    import time

    import redis

    redis.Redis.from_url(redis_url).flushall()
    store = open_store(redis_url, 0.3)
    for name in ("a", "b"):
        store.create(_session(session_id=name), 2)
    time.sleep(0.2)
    assert store.commit([_session(1)]) == [True]
    time.sleep(0.2)
    assert set(store.load(["a", "b"])) == {"a"}
    assert store.count() == 1
    assert store.create(_session(session_id="c"), 2)
    time.sleep(0.4)
    assert store.expire() == 2
    assert store.count() == 0
    store.close()


def test_a_file_of_sessions_is_its_owners_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", 60.0)
    store.create(_session(), 2)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a file of SQLite, but it is long enough to look like one " * 20)
    for path in (tmp_path / "none" / "s.db", tmp_path, tmp_path / "text.db"):
        with pytest.raises(StoreError, match="cannot be opened as a store of sessions"):
            open_store(f"sqlite:{path}", 60)


def test_a_redis_that_cannot_be_reached_is_named() -> None:
    pytest.importorskip("redis")
    with pytest.raises(StoreError, match="Redis cannot be used"):
        open_store("redis://127.0.0.1:1/0", 60)
    with pytest.raises(StoreError, match="URL of Redis"):
        open_store("redis://127.0.0.1:port/0", 60)


def test_the_package_redis_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"recurra\[redis\]"):
        open_store("redis://127.0.0.1/0", 60)


def test_ids_are_of_128_random_bits() -> None:
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {22}
