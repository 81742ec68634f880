"""Micro-batching: what arrives within a deadline is run together."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from recurra.server.refusal import Refusal
from recurra.server.session import StoreError
from recurra.server.stepping import Step

__all__ = ["Batcher"]

_log = logging.getLogger("recurra.server")

Work = Callable[[Sequence[Step]], list[str | Refusal]]


@dataclass
class _Waiting:
    step: Step
    answer: "asyncio.Future[str]"
    since: float


class Batcher:
    """Collects the steps of different sessions of one model, and runs them together in a thread.

    A batch starts once its oldest step has waited for the deadline, or once it is full; while one runs, the next
    collects. A session has one step in a batch at most, and its steps stay in their order.

    Args:
        work: runs steps of different sessions; it blocks.
        deadline: seconds.
        max_batch: steps of a batch.
        max_waiting: steps that may wait.
        observe: called with the size of each batch.
    """

    def __init__(
        self, work: Work, deadline: float, max_batch: int, max_waiting: int, observe: Callable[[int], object]
    ) -> None:
        self._work, self._deadline, self._most, self._limit = work, deadline, max_batch, max_waiting
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._running = 0
        self._thread = ThreadPoolExecutor(1, "recurra-steps")
        self._arrived, self._full, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Steps that wait or run."""
        return len(self._waiting) + self._running

    def start(self) -> None:
        """Begin to run batches, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Refuse what waits, and end after the batch that runs, whose steps may be stored without an answer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)
        for one in self._waiting:
            _settle(one, Refusal(503, "stopping", "the server is stopping; send the step again", 1))
        self._waiting.clear()

    async def drained(self) -> None:
        """Wait until no step waits or runs."""
        await self._idle.wait()

    async def submit(self, step: Step) -> str:
        """The result of a step, as JSON.

        Raises:
            Refusal: if it is not taken, or too many wait.
        """
        if len(self._waiting) >= self._limit:
            raise Refusal(503, "busy", "too many steps are waiting for this model; send the step again", 1)
        loop = asyncio.get_running_loop()
        one = _Waiting(step, loop.create_future(), loop.time())
        self._waiting.append(one)
        self._idle.clear()
        self._arrived.set()
        if len(self._waiting) >= self._most:
            self._full.set()
        return await one.answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            left = self._waiting[0].since + self._deadline - loop.time()
            if left > 0 and len(self._waiting) < self._most:
                self._full.clear()
                timer = loop.call_later(left, self._full.set)
                await self._full.wait()
                timer.cancel()
            batch = self._take()
            if batch:
                self._running = len(batch)
                self._observe(len(batch))
                try:
                    outcomes = await self._outcomes([one.step for one in batch])
                except asyncio.CancelledError:
                    self._waiting.extendleft(reversed(batch))
                    raise
                for one, outcome in zip(batch, outcomes, strict=True):
                    _settle(one, outcome)
                self._running = 0
            if not self._waiting:
                self._arrived.clear()
                self._idle.set()

    def _take(self) -> list[_Waiting]:
        """The oldest step of each session, as many as a batch holds; the others keep their places."""
        batch: dict[str, _Waiting] = {}
        later: deque[_Waiting] = deque()
        while self._waiting and len(batch) < self._most:
            one = self._waiting.popleft()
            if one.answer.done():  # whoever asked is gone
                continue
            if one.step.session in batch:
                later.append(one)
            else:
                batch[one.step.session] = one
        self._waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _outcomes(self, steps: list[Step]) -> Sequence[str | Refusal]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, steps)
        except StoreError as error:
            _log.error("%s", error)
            message = "sessions cannot be stored now; send the step again"
            return [Refusal(503, "store_unavailable", message, 1) for _ in steps]
        except Exception:
            _log.exception("a batch of steps failed")
            return [Refusal(500, "internal", "the step failed") for _ in steps]


def _settle(one: _Waiting, outcome: str | Refusal) -> None:
    if one.answer.done():
        return
    if isinstance(outcome, Refusal):
        one.answer.set_exception(outcome)
    else:
        one.answer.set_result(outcome)
