"""Micro-batching: the same bits as one by one, in order, within bounds."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import recurra
from recurra.server.batcher import Batcher
from recurra.server.even_rows import EvenRows
from recurra.server.refusal import Refusal
from recurra.server.served_model import ServedModel
from recurra.server.session import Session, StoreError
from recurra.server.sqlite_store import SqliteStore
from recurra.server.stepping import Step, Stepping
from recurra.streaming import ItemStream, Stepper

ITEMS = ["the ", "quick", " brown", " f", "o", "x jumps over", " the lazy dog"]


def _run(
    body: Callable[[Batcher], Any], work: Callable[[Sequence[Step]], Any], **options: Any
) -> tuple[Any, list[int]]:
    """What a coroutine returns that uses a batcher, and the sizes of the batches."""
    sizes: list[int] = []
    settings = {"deadline": 0.02, "max_batch": 100, "max_waiting": 1000, "observe": sizes.append, **options}

    async def use() -> Any:
        batcher = Batcher(work, **settings)
        batcher.start()
        try:
            return await body(batcher)
        finally:
            await batcher.stop()

    return asyncio.run(use()), sizes


def _echo(steps: Sequence[Step]) -> list[str | Refusal]:
    return [f"{step.session}{step.number}" for step in steps]


def test_what_arrives_within_the_deadline_is_run_together() -> None:
    async def body(batcher: Batcher) -> list[str]:
        return await asyncio.gather(*(batcher.submit(Step(name, "", 1, None)) for name in "abcde"))

    found, sizes = _run(body, _echo)
    assert found == ["a1", "b1", "c1", "d1", "e1"]
    assert sizes == [5]


def test_a_full_batch_does_not_wait() -> None:
    async def body(batcher: Batcher) -> float:
        began = time.monotonic()
        await asyncio.gather(*(batcher.submit(Step(name, "", 1, None)) for name in "abcd"))
        return time.monotonic() - began

    taken, sizes = _run(body, _echo, deadline=30, max_batch=2)
    assert sizes == [2, 2]
    assert taken < 10


def test_steps_of_a_session_keep_their_order_in_batches_of_their_own() -> None:
    batches: list[list[str]] = []

    def work(steps: Sequence[Step]) -> list[str | Refusal]:
        batches.append([f"{step.session}{step.number}" for step in steps])
        return _echo(steps)

    async def body(batcher: Batcher) -> None:
        order = [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2), ("c", 1)]
        await asyncio.gather(*(batcher.submit(Step(name, "", number, None)) for name, number in order))

    _run(body, work)
    assert batches == [["a1", "b1", "c1"], ["a2", "b2"], ["a3"]]


def test_too_many_waiting_steps_are_refused() -> None:
    release = threading.Event()

    def work(steps: Sequence[Step]) -> list[str | Refusal]:
        release.wait(20)
        return _echo(steps)

    async def body(batcher: Batcher) -> list[Any]:
        first = asyncio.create_task(batcher.submit(Step("a", "", 1, None)))
        while batcher.waiting != 1 or batcher._waiting:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.submit(Step(name, "", 1, None))) for name in "bcde"]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    found, _ = _run(body, work, max_waiting=3, deadline=0)
    assert found[:4] == ["a1", "b1", "c1", "d1"]
    assert isinstance(found[4], Refusal)
    assert (found[4].status_code, found[4].code, found[4].retry_after) == (503, "busy", 1)


def test_a_step_that_nobody_waits_for_any_more_is_left_out() -> None:
    async def body(batcher: Batcher) -> str:
        gone = asyncio.create_task(batcher.submit(Step("a", "", 1, None)))
        await asyncio.sleep(0)
        gone.cancel()
        return await batcher.submit(Step("b", "", 1, None))

    found, sizes = _run(body, _echo)
    assert (found, sizes) == ("b1", [1])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StoreError("disk full at /a/path"), 503, "store_unavailable"), (ZeroDivisionError("inside"), 500, "internal")],
)
def test_a_batch_that_fails_is_refused_without_its_reason(error: Exception, status: int, code: str) -> None:
    failing = [error]

    def work(steps: Sequence[Step]) -> list[str | Refusal]:
        if failing:
            raise failing.pop()
        return _echo(steps)

    async def body(batcher: Batcher) -> list[Any]:
        waiting = (batcher.submit(Step(name, "", 1, None)) for name in "ab")
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        return [*failed, await batcher.submit(Step("c", "", 1, None))]

    (*failed, after), _ = _run(body, work)
    for refusal in failed:
        assert (refusal.status_code, refusal.code) == (status, code)
        assert "path" not in refusal.message
        assert "inside" not in refusal.message
    assert after == "c1"


def test_stopping_refuses_what_waits() -> None:
    async def use() -> list[Any]:
        batcher = Batcher(_echo, 30, 100, 100, lambda size: None)
        batcher.start()
        waiting = [asyncio.create_task(batcher.submit(Step(name, "", 1, None))) for name in "ab"]
        await asyncio.sleep(0.01)
        await batcher.stop()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [error.code for error in asyncio.run(use())] == ["stopping", "stopping"]


def _stream(models: dict[str, ServedModel]) -> ItemStream:
    stream = models["book"].stream
    assert stream is not None
    return stream


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "s.db", 1000.0)
    yield store
    store.close()


def test_batches_have_the_bits_of_single_steps(models: dict[str, ServedModel], store: SqliteStore) -> None:
    stream = _stream(models)
    stepping = Stepping("book", stream, store, 100)
    names = [f"s{k}" for k in range(23)]
    state = stream.new_state().to_bytes()
    for name in (*names, *(f"alone {name}" for name in names)):
        store.create(Session(name, "book", "", 0, state), 100)
    for number in range(1, 6):
        items = [ITEMS[(k * number + k) % len(ITEMS)] for k in range(len(names))]
        together = stepping([Step(name, "", number, item) for name, item in zip(names, items, strict=True)])
        alone = [
            stepping([Step(f"alone {name}", "", number, item)])[0] for name, item in zip(names, items, strict=True)
        ]
        assert all(isinstance(result, str) for result in together)
        assert together == alone
    stored = store.load([*names, *(f"alone {name}" for name in names)])
    assert all(stored[name].state == stored[f"alone {name}"].state for name in names)


@pytest.mark.parametrize("hidden", [5, 16, 40, 65])
def test_a_row_does_not_depend_on_the_others(hidden: int) -> None:
    torch.manual_seed(hidden)
    stepper = EvenRows(Stepper(nn.Sequential(recurra.LSTM(9, hidden), nn.Linear(hidden, 17))))
    x = np.random.default_rng(hidden).normal(size=(3, 60, 9)).astype(np.float32)
    alone = [stepper(x[:, k : k + 1], stepper.new_state()) for k in range(60)]
    for rows in (2, 3, 7, 8, 9, 13, 24, 31, 47, 48, 49, 60):
        y, state = stepper(x[:, :rows], stepper.new_state(rows))
        for k in range(rows):
            assert np.array_equal(y[:, k], alone[k][0][:, 0])
            assert np.array_equal(state.values[k], alone[k][1].values[0])


class _Faulty(ItemStream):
    """A stream of text that fails at some items, after it has changed states."""

    def advance(self, inputs: Any, states: Any) -> list[Any]:
        results = super().advance(inputs, states)
        for one, state in zip(inputs, states, strict=True):
            if len(one) in (13, 14):
                raise (RuntimeError if len(one) == 13 else ZeroDivisionError)("inside")
            if len(one) == 12:
                state.values[0, 0] = float("inf")
        return [{"value": float("nan")} if len(one) == 11 else r for one, r in zip(inputs, results, strict=True)]


def test_one_item_that_fails_harms_no_other(models: dict[str, ServedModel], store: SqliteStore) -> None:
    stream = _stream(models)
    faulty = _Faulty(**{name: getattr(stream, name) for name in stream.__dataclass_fields__})
    stepping, names = Stepping("book", faulty, store, 20), "abcdefg"
    for name in names:
        store.create(Session(name, "book", "", 0, stream.new_state().to_bytes()), 100)
    lengths = (5, 13, 12, 11, 7, 21, 14)
    items = ["the quick brown fox jumps"[:length] for length in lengths]
    found = stepping([Step(name, "", 1, item) for name, item in zip(names, items, strict=True)])
    codes = [one.code if isinstance(one, Refusal) else "taken" for one in found]
    assert codes == ["taken", "internal", "not_finite", "not_finite", "taken", "item_too_long", "step_failed"]
    stored = store.load(list(names))
    assert [stored[name].step for name in names] == [1, 0, 0, 0, 1, 0, 0]
    expected = stream.new_state()
    assert json.loads(str(found[0])) == stream.step([items[0]], [expected])[0]
    assert stored["a"].state == expected.to_bytes()
    assert stored["b"].state == stream.new_state().to_bytes()


def test_a_session_of_another_model_is_refused(models: dict[str, ServedModel], store: SqliteStore) -> None:
    stream = _stream(models)
    state = bytearray(stream.new_state().to_bytes())
    state[30] ^= 1  # of the model's hash
    store.create(Session("a", "book", "", 0, bytes(state)), 100)
    (found,) = Stepping("book", stream, store, 20)([Step("a", "", 1, "the ")])
    assert isinstance(found, Refusal)
    assert (found.status_code, found.code) == (409, "another_model")


class _Raced(SqliteStore):
    """A store in which another server takes some steps first."""

    times = 0

    def commit(self, sessions: Sequence[Session]) -> list[bool]:
        if self.times:
            self.times -= 1
            super().commit([Session(s.id, s.model, s.owner, s.step, s.state, s.digest, '"theirs"') for s in sessions])
        return super().commit(sessions)


def test_a_step_that_another_server_took_first_has_its_answer(models: dict[str, ServedModel], tmp_path: Path) -> None:
    stream, store = _stream(models), _Raced(tmp_path / "s.db", 1000.0)
    store.create(Session("a", "book", "", 0, stream.new_state().to_bytes()), 100)
    store.times = 1
    stepping = Stepping("book", stream, store, 20)
    assert stepping([Step("a", "", 1, "the ")]) == ['"theirs"']
    store.times = 1
    (refused,) = stepping([Step("a", "", 3, "the ")])
    assert isinstance(refused, Refusal)
    assert refused.code == "wrong_step"
    store.close()
