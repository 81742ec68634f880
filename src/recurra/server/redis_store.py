"""Sessions in Redis, which several servers share."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from recurra.errors import MissingExtraError
from recurra.server.session import Session, StoreError

__all__ = ["RedisStore"]

# A session is a hash with an expiry; the sorted set of their ids, by the time of expiry, counts them.
_INDEX = "recurra:sessions"
_FIELDS = ("model", "owner", "step", "state", "digest", "result")

_CREATE = """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'model', ARGV[5], 'owner', ARGV[6], 'step', ARGV[7], 'state', ARGV[8],
    'digest', ARGV[9], 'result', ARGV[10])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2] + ARGV[3], ARGV[4])
return 1
"""
# Compare and set: a script runs alone, and two servers never both replace the same step.
_COMMIT = """
if redis.call('HGET', KEYS[1], 'step') ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[1], 'step', ARGV[5], 'state', ARGV[6], 'digest', ARGV[7], 'result', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[2], ARGV[3])
return 1
"""


class RedisStore:
    """A store in Redis.

    What is acknowledged outlives the servers. It outlives Redis itself as far as Redis is set to persist: with
    `appendonly yes` and `appendfsync always` it outlives everything that its disk does.

    Args:
        url: such as "redis://host:6379/0".
        idle_seconds: after which an unused session is deleted.
        now: the time in seconds.

    Raises:
        MissingExtraError: without the package redis.
        StoreError: if Redis cannot be reached.
    """

    def __init__(self, url: str, idle_seconds: float, now: Callable[[], float] = time.time) -> None:
        try:
            import redis
        except ImportError as error:
            raise MissingExtraError("redis", "redis", "a store in Redis") from error
        self._errors, self._now, self._idle = (redis.RedisError, OSError), now, max(1, round(1000 * idle_seconds))
        try:
            self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        except ValueError as error:
            raise StoreError(f"the URL of Redis cannot be read ({error})") from error
        self._create, self._commit = self._redis.register_script(_CREATE), self._redis.register_script(_COMMIT)
        with self._reached():
            self._redis.ping()

    def create(self, session: Session, most: int) -> bool:
        values = (session.id, session.model, session.owner, session.step, session.state, session.digest, session.result)
        arguments = [most, self._milliseconds(), self._idle, *values]
        with self._reached():
            return self._create([_key(session.id), _INDEX], arguments) == 1

    def load(self, ids: Sequence[str]) -> dict[str, Session]:
        with self._reached(), self._redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.hmget(_key(one), _FIELDS)
            rows: list[Any] = pipeline.execute() if ids else []
        return {one: _session(one, row) for one, row in zip(ids, rows, strict=True) if row[0] is not None}

    def commit(self, sessions: Sequence[Session]) -> list[bool]:
        now = self._milliseconds()
        with self._reached(), self._redis.pipeline(transaction=False) as pipeline:
            for one in sessions:
                self._commit(
                    [_key(one.id), _INDEX],
                    [now, self._idle, one.id, one.step - 1, one.step, one.state, one.digest, one.result],
                    client=pipeline,
                )
            return [done == 1 for done in pipeline.execute()] if sessions else []

    def delete(self, session_id: str) -> None:
        with self._reached(), self._redis.pipeline() as pipeline:
            pipeline.delete(_key(session_id))
            pipeline.zrem(_INDEX, session_id)
            pipeline.execute()

    def count(self) -> int:
        with self._reached():
            return int(self._redis.zcount(_INDEX, self._milliseconds(), "+inf"))  # type: ignore[arg-type]

    def expire(self) -> int:
        # The sessions themselves expire in Redis.
        with self._reached():
            return int(self._redis.zremrangebyscore(_INDEX, "-inf", self._milliseconds()))  # type: ignore[arg-type]

    def close(self) -> None:
        self._redis.close()

    def _milliseconds(self) -> int:
        return round(1000 * self._now())

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise StoreError(f"Redis cannot be used ({error})") from error


def _key(session_id: str) -> str:
    return f"recurra:session:{session_id}"


def _session(session_id: str, row: Sequence[bytes]) -> Session:
    model, owner, step, state, digest, result = row
    return Session(session_id, model.decode(), owner.decode(), int(step), state, digest, result.decode())
