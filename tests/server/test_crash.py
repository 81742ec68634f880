"""kill -9: no step that was answered is lost, none is taken twice, and the results are those of an unbroken stream."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from process import ServerProcess
from serving import Serve

from recurra.client import AsyncClient, Client
from recurra.client.address import Patience
from recurra.server.served_model import ServedModel

WORDS = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog. "]
PATIENT = Patience(tries=400, first=0.02, longest=0.2)


def _item(session: int, number: int) -> str:
    return WORDS[(7 * session + number * number) % len(WORDS)]


def _expected(models: dict[str, ServedModel], session: int, steps: int) -> list[Any]:
    """The results of an unbroken stream."""
    stream = models["book"].stream
    assert stream is not None
    state = stream.new_state()
    results = [stream.step([_item(session, number)], [state])[0] for number in range(steps)]
    return json.loads(json.dumps(results))


def test_a_killed_server_goes_on_where_it_was(run: Path, models: dict[str, ServedModel], tmp_path: Path) -> None:
    store = f"--store=sqlite:{tmp_path / 's.db'}"
    with ServerProcess(run, "--port=0", store) as server:
        session = Client(server.url, patience=PATIENT).open("book")
        found = [session.step(_item(0, number)) for number in range(20)]
        server.send(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        with ServerProcess(run, f"--port={server.port}", store):
            found += [session.step(_item(0, number)) for number in range(20, 30)]
            assert session.steps == 30
            session.close()
    assert found == _expected(models, 0, 30)


async def _drive(url: str, number: int, stop: threading.Event, results: list[Any]) -> list[Any]:
    """Step a session until the stop, and append its results."""
    session = await AsyncClient(url, patience=PATIENT, timeout=10).open("book")
    while not stop.is_set():
        results.append(await session.step(_item(number, len(results))))
    await session.disconnect()
    resumed = await AsyncClient(url, patience=PATIENT).resume("book", session.id)
    assert resumed.steps == len(results)
    return results


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_twenty_times_under_load(run: Path, models: dict[str, ServedModel], store_url: str) -> None:
    kills, sessions = 20, 16
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, str(Path(__file__).with_name("forking.py")), str(run), str(port), store_url]
    stop, chance = threading.Event(), random.Random(1)
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None

        def restart() -> None:
            parent.stdin.write("\n")  # type: ignore[union-attr]
            parent.stdin.flush()  # type: ignore[union-attr]
            assert parent.stdout.readline() == "started\n"  # type: ignore[union-attr]

        async def load() -> list[list[Any]]:
            url = f"http://127.0.0.1:{port}"
            taken: list[list[Any]] = [[] for _ in range(sessions)]
            driving = [asyncio.create_task(_drive(url, number, stop, own)) for number, own in enumerate(taken)]
            for _ in range(kills):
                before = list(map(len, taken))
                await asyncio.sleep(0.5 + chance.random())
                # On a loaded machine the server takes longer than that to start.
                while any(len(own) <= steps for own, steps in zip(taken, before, strict=True)):
                    assert not any(one.done() for one in driving)
                    await asyncio.sleep(chance.random() / 10)
                await asyncio.to_thread(restart)
            await asyncio.sleep(1.0)
            stop.set()
            return await asyncio.gather(*driving)

        restart()
        results = asyncio.run(_once_it_answers(port, load))
        parent.stdin.close()
        parent.wait(20)
    assert min(map(len, results)) >= kills
    for number, found in enumerate(results):
        assert found == _expected(models, number, len(found))


async def _once_it_answers(port: int, load: Any) -> list[list[Any]]:
    for _ in range(500):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
        except OSError:
            await asyncio.sleep(0.05)
        else:
            break
    return await load()


def test_two_servers_share_sessions_in_redis(serve: Serve, models: dict[str, ServedModel], redis_url: str) -> None:
    first, second = serve(store=redis_url), serve(store=redis_url)
    session = first.session()
    found = []
    for number in range(12):
        server = (first, second)[number % 2]
        answer = server.step(session, number + 1, _item(0, number))
        assert answer.status == 200
        # The other one answers the same step with the same bytes, and takes it no second time.
        other = (second, first)[number % 2].step(session, number + 1, _item(0, number))
        assert other.content == answer.content
        found.append(answer.json["result"])
    assert found == _expected(models, 0, 12)
    assert second.get(session).json["step"] == 12
    second.request("DELETE", session)
    assert first.step(session, 13, "the ").status == 404


def test_of_two_servers_one_takes_a_step(serve: Serve, models: dict[str, ServedModel], redis_url: str) -> None:
    servers = [serve(store=redis_url, deadline_ms=0.0) for _ in range(2)]
    session = servers[0].session()
    taken: list[str] = []
    for number in range(1, 16):
        answers: dict[str, Any] = {}

        def step(which: int, number: int = number, answers: dict[str, Any] = answers) -> None:
            item = ("quick ", "brown ")[which]
            answers[item] = servers[which].step(session, number, item)

        threads = [threading.Thread(target=step, args=(which,)) for which in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status for answer in answers.values()) == [200, 409]
        (refused,) = [answer for answer in answers.values() if answer.status == 409]
        assert refused.code == "another_item"
        (winner,) = [item for item, answer in answers.items() if answer.status == 200]
        taken.append(winner)
    stream = models["book"].stream
    assert stream is not None
    state = stream.new_state()
    results = [stream.step([item], [state])[0] for item in taken]
    last = servers[1].step(session, 15, taken[-1])
    assert last.json["result"] == json.loads(json.dumps(results[-1]))


@pytest.mark.slow
def test_a_session_goes_on_at_another_server_after_its_own_was_killed(
    run: Path, models: dict[str, ServedModel], redis_url: str
) -> None:
    store = f"--store={redis_url}"
    with ServerProcess(run, "--port=0", store) as first, ServerProcess(run, "--port=0", store) as second:
        session = Client(first.url).open("book")
        found = [session.step(_item(0, number)) for number in range(10)]
        first.send(signal.SIGKILL)
        first.wait()
        resumed = Client(second.url).resume("book", session.id)
        found += [resumed.step(_item(0, number)) for number in range(10, 20)]
        resumed.close()
    assert found == _expected(models, 0, 20)
