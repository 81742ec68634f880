"""The guard: the first signal is noted, the second acts, and the handlers are put back."""

import os
import signal
import threading
from types import FrameType

import pytest

from recurra.training.interrupt import InterruptGuard

NUMBERS = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_noted_and_the_handlers_are_back(number: signal.Signals) -> None:
    before = handlers()
    with InterruptGuard() as guard:
        assert not guard.requested
        assert handlers() != before
        os.kill(os.getpid(), number)
        assert guard.requested
        assert handlers() == before
    assert handlers() == before


def test_the_second_acts_as_usual() -> None:
    seen = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    usual = signal.signal(signal.SIGTERM, handler)
    try:
        with InterruptGuard() as guard:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (guard.requested, seen) == (True, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == [signal.SIGTERM]
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_an_error_inside_puts_the_handlers_back() -> None:
    before = handlers()
    with pytest.raises(ValueError, match="inside"), InterruptGuard():
        raise ValueError("inside")
    assert handlers() == before


def test_one_within_another() -> None:
    before = handlers()
    with InterruptGuard() as outer, InterruptGuard() as inner:
        os.kill(os.getpid(), signal.SIGINT)
        assert (inner.requested, outer.requested) == (True, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert outer.requested
    assert handlers() == before


def test_outside_the_main_thread_it_does_nothing() -> None:
    before, seen = handlers(), []

    def run() -> None:
        with InterruptGuard() as guard:
            seen.append((guard.requested, handlers()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
    assert handlers() == before


def test_a_handler_that_python_did_not_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = handlers()
    monkeypatch.setattr(signal, "getsignal", lambda number: None)  # as for one set in C
    with InterruptGuard() as guard:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert not guard.requested
    monkeypatch.undo()
    assert handlers() == before
