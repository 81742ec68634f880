"""Steps of several sessions of one model, run together: read, decided, computed, stored."""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import RecurraError, StreamError
from recurra.server.refusal import Refusal
from recurra.server.session import Session, Store
from recurra.server.strict_json import write_json
from recurra.streaming import ItemStream, StreamState

__all__ = ["Step", "Stepping"]

_log = logging.getLogger("recurra.server")
_ROUNDS = 4  # a step is decided anew as often, if other servers step the same session meanwhile


@dataclass(frozen=True)
class Step:
    """A request for one step of a session.

    Attributes:
        session: its id.
        owner: of the token that asks.
        number: of the step, from 1.
        item: JSON, as the task reads it.
    """

    session: str
    owner: str
    number: int
    item: Any

    def digest(self) -> bytes:
        """What tells the item from others, 16 bytes."""
        return hashlib.blake2b(write_json(self.item).encode(), digest_size=16).digest()


@dataclass
class _Begun:
    """A step that may be taken: where it stands among the requests, and what it starts from."""

    index: int
    session: Session
    inputs: np.ndarray
    state: StreamState
    result: str = ""

    def after(self, step: Step) -> Session:
        """The session after the step, whose result is known."""
        own = self.session
        return Session(own.id, own.model, own.owner, step.number, self.state.to_bytes(), step.digest(), self.result)


class Stepping:
    """Runs the steps of one model. It blocks, and holds nothing between calls: the store has it all.

    Args:
        model: the name of the served model.
        stream: of the model.
        store: of sessions.
        max_item_steps: the model's steps that an item may have.
    """

    def __init__(self, model: str, stream: ItemStream, store: Store, max_item_steps: int) -> None:
        self._model, self._stream, self._store, self._longest = model, stream, store, max_item_steps

    def __call__(self, steps: Sequence[Step]) -> list[str | Refusal]:
        """Take one step of each of several sessions.

        Args:
            steps: of different sessions.

        Returns:
            For each its result as JSON, which is stored, or why it was not taken.

        Raises:
            StoreError: if the store cannot be reached. A step may be stored all the same: sent again it is answered.
        """
        outcomes: list[str | Refusal | None] = [None] * len(steps)
        left = list(range(len(steps)))
        for _ in range(_ROUNDS):
            left = self._round(steps, left, outcomes)
            if not left:
                break
        message = "other servers are stepping this session; send the step again"
        return [Refusal(503, "busy", message, 1) if outcome is None else outcome for outcome in outcomes]

    def _round(self, steps: Sequence[Step], left: list[int], outcomes: list[str | Refusal | None]) -> list[int]:
        """Take steps as far as no other server takes them first. Returns those that have to be decided anew."""
        sessions = self._store.load([steps[k].session for k in left])
        begun: list[_Begun] = []
        for k in left:
            decided = self._decide(k, steps[k], sessions.get(steps[k].session))
            if isinstance(decided, _Begun):
                begun.append(decided)
            else:
                outcomes[k] = decided
        taken = self._advance(begun, outcomes)
        changed = [one.after(steps[one.index]) for one in taken]
        replaced = self._store.commit(changed) if changed else []
        again = []
        for one, done in zip(taken, replaced, strict=True):
            if done:
                outcomes[one.index] = one.result
            else:
                again.append(one.index)
        return again

    def _decide(self, index: int, step: Step, session: Session | None) -> "_Begun | str | Refusal":
        """Whether a step may be taken; if it was taken already, its result."""
        if session is None or session.model != self._model or not hmac.compare_digest(session.owner, step.owner):
            return Refusal(404, "unknown_session", "there is no such session of this model")
        if step.number == session.step:
            if not hmac.compare_digest(session.digest, step.digest()):
                message = f"step {step.number} was acknowledged with another item"
                return Refusal(409, "another_item", message, expected_step=session.step + 1)
            return session.result
        if step.number != session.step + 1:
            message = f"expected step {session.step + 1}, got {step.number}"
            return Refusal(409, "wrong_step", message, expected_step=session.step + 1)
        try:
            state = self._stream.read_state(session.state)
        except StreamError as error:
            return Refusal(409, "another_model", str(error))
        try:
            inputs = self._stream.encode(step.item, state)
        except RecurraError as error:
            return Refusal(422, "invalid_item", str(error))
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            _log.info("an item of %s could not be read: %r", self._model, error)
            return Refusal(422, "invalid_item", f"item: expected {self._stream.item}")
        if not (0 if self._stream.ends else 1) <= len(inputs) <= self._longest:
            message = f"item: expected 1 to {self._longest} steps of the model, got {len(inputs)}"
            return Refusal(413 if len(inputs) else 422, "item_too_long" if len(inputs) else "invalid_item", message)
        return _Begun(index, session, inputs, state)

    def _advance(self, begun: list[_Begun], outcomes: list[str | Refusal | None]) -> list[_Begun]:
        """Compute steps, all together. Returns those that have a result."""
        if not begun:
            return []
        try:
            results = self._stream.advance([one.inputs for one in begun], [one.state for one in begun])
        except Exception as error:
            if len(begun) > 1:
                # One of them is at fault: alone, each shows whether it is. Their states may have changed.
                for one in begun:
                    one.state = self._stream.read_state(one.session.state)
                return [done for one in begun for done in self._advance([one], outcomes)]
            outcomes[begun[0].index] = self._failed(error)
            return []
        taken = []
        for one, result in zip(begun, results, strict=True):
            try:
                one.result = write_json(result)
            except ValueError:
                one.result = ""
            if one.result and np.isfinite(one.state.values).all():
                taken.append(one)
            else:
                message = "item: it drives the model to numbers that are not finite; the session is unchanged"
                outcomes[one.index] = Refusal(422, "not_finite", message)
        return taken

    def _failed(self, error: Exception) -> Refusal:
        if isinstance(error, RecurraError):
            return Refusal(422, "invalid_item", str(error))
        _log.error("a step of %s failed", self._model, exc_info=error)
        if isinstance(error, ArithmeticError | LookupError | ValueError):
            # A state that a client made up can hold anything.
            return Refusal(
                422, "step_failed", "the model cannot take this step from this state; the session is unchanged"
            )
        return Refusal(500, "internal", "the step failed; the session is unchanged")
