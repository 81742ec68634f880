"""The Python client, sync and async: it connects again and resumes."""

import asyncio
import json
from typing import Any

import pytest
from serving import Serve, Serving

from recurra.client import AsyncClient, Client, ConnectionLostError, RefusedError
from recurra.client.address import Patience
from recurra.errors import ParameterError
from recurra.server.served_model import ServedModel

ITEMS = ["the ", "quick", " brown", " f", "ox"]
HASTY = Patience(tries=2, first=0.01)


def _expected(models: dict[str, ServedModel]) -> list[Any]:
    stream = models["book"].stream
    assert stream is not None
    state = stream.new_state()
    return [json.loads(json.dumps(stream.step([item], [state])[0])) for item in ITEMS]


def test_a_session_steps_and_ends(serve: Serve, models: dict[str, ServedModel]) -> None:
    server = serve()
    client = Client(server.url)
    assert client.models()[0]["name"] == "book"
    with client.open("book") as session:
        assert [session.step(item) for item in ITEMS] == _expected(models)
        assert session.steps == len(ITEMS)
        state = session.state()
    with pytest.raises(RefusedError) as refused:
        client.resume("book", session.id)
    assert (refused.value.status, refused.value.code) == (404, "unknown_session")
    with client.open("book", state) as copy, client.open("book", state) as other:
        assert copy.step("a") == other.step("a")


def test_an_async_session_steps_and_ends(serve: Serve, models: dict[str, ServedModel]) -> None:
    async def use(server: Serving) -> None:
        client = AsyncClient(server.url)
        assert (await client.models())[0]["streams"]
        assert len(await client.predict("book", "the ")) == 10
        async with await client.open("book") as session:
            assert [await session.step(item) for item in ITEMS[:3]] == _expected(models)[:3]
            await session.disconnect()
            resumed = await client.resume("book", session.id)
            assert [await resumed.step(item) for item in ITEMS[3:]] == _expected(models)[3:]
            await resumed.disconnect()
            state = await session.state()
        assert (await client.open("book", state)).steps == 0
        with pytest.raises(RefusedError):
            await client.resume("book", session.id)

    asyncio.run(use(serve()))


def test_a_refused_item_leaves_the_session_as_it_was(serve: Serve) -> None:
    with Client(serve().url).open("book") as session:
        session.step("the ")
        with pytest.raises(RefusedError, match="never seen") as refused:
            session.step("§")
        assert refused.value.code == "invalid_item"
        assert session.steps == 1
        session.step("fox")
        assert session.steps == 2


def test_a_session_resumes_at_a_server_that_was_started_again(serve: Serve, models: dict[str, ServedModel]) -> None:
    first = serve()
    session = Client(first.url).open("book")
    found = [session.step(item) for item in ITEMS[:2]]
    first.stop()
    serve(port=first.port)
    found += [session.step(item) for item in ITEMS[2:]]
    assert found == _expected(models)
    session.close()


def test_an_async_session_resumes_too(serve: Serve, models: dict[str, ServedModel]) -> None:
    async def use() -> None:
        first = serve()
        session = await AsyncClient(first.url).open("book")
        found = [await session.step(item) for item in ITEMS[:2]]
        await asyncio.to_thread(first.stop)
        await asyncio.to_thread(serve, port=first.port)
        found += [await session.step(item) for item in ITEMS[2:]]
        assert found == _expected(models)
        await session.close()

    asyncio.run(use())


def test_an_answer_that_was_lost_is_fetched_again(serve: Serve, models: dict[str, ServedModel]) -> None:
    server = serve()
    session = Client(server.url).open("book")
    session.step(ITEMS[0])
    # The step is taken, and its answer does not arrive.
    assert server.step(f"/v1/models/book/sessions/{session.id}", 2, ITEMS[1]).status == 200
    assert [session.step(item) for item in ITEMS[1:]] == _expected(models)[1:]
    session.close()


def test_a_server_that_stays_away_is_named(serve: Serve) -> None:
    server = serve()
    client = Client(server.url, patience=HASTY)
    session = client.open("book")
    session.step("the ")
    server.stop()
    with pytest.raises(ConnectionLostError, match=server.url):
        session.step("fox")
    with pytest.raises(ConnectionLostError, match=server.url):
        client.models()
    assert session.steps == 1


def test_a_busy_server_is_asked_again(serve: Serve) -> None:
    server = serve(rate=4.0)
    client = Client(server.url)
    session = client.open("book")
    for item in ("the ", "fox ", "dog "):
        session.step(item)
    while server.get("/v1/models").status == 200:
        pass
    with pytest.raises(RefusedError) as refused:
        client.models()
    assert (refused.value.status, refused.value.code) == (429, "too_many_requests")
    session.step("the ")  # waits, and is answered
    assert session.steps == 4
    session.disconnect()


def test_a_token_is_sent(serve: Serve) -> None:
    server = serve(token="a-token-of-the-test")
    with pytest.raises(RefusedError) as refused:
        Client(server.url).models()
    assert refused.value.status == 401
    with Client(server.url, "a-token-of-the-test").open("book") as session:
        session.step("the ")
        session._address = type(session._address)(server.url, "another-token-here")
        session.disconnect()
        with pytest.raises(RefusedError) as refused:
            session.step("fox")
        assert refused.value.status == 401
        session._address = type(session._address)(server.url, "a-token-of-the-test")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ParameterError, match="url"):
        Client(url)


def test_waits_grow_and_respect_the_server() -> None:
    patience = Patience(first=0.1, longest=1.0)
    assert 0.05 <= patience.wait(0) <= 0.1
    assert 0.5 <= patience.wait(9) <= 1.0
    assert patience.wait(0, retry_after=3) >= 3
