"""SIGTERM: the steps in hand are answered, new ones are sent elsewhere, and the process ends well."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from process import ServerProcess
from serving import Answer, Serve
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from recurra.client import Client


def test_a_draining_server_answers_what_it_has_and_takes_nothing_new(serve: Serve) -> None:
    server = serve(deadline_ms=600.0)
    first, second = server.session(), server.session()
    answers: list[Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(server.step(first, 1, "the ")))
    with connect(f"ws://127.0.0.1:{server.port}{second}/socket") as socket:
        waiting.start()
        socket.send(json.dumps({"step": 1, "item": "fox"}))
        while server.app.service._batchers["book"].waiting < 2:
            time.sleep(0.005)
        server.server.handle_exit(signal.SIGTERM, None)
        while not server.app.service.draining.is_set():
            time.sleep(0.001)
        refused = server.step(first, 2, "the ")
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "stopping", "1")
        assert server.get("/readyz").code == "not_ready"
        assert server.get("/healthz").status == 200
        assert json.loads(socket.recv())["step"] == 1
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    waiting.join()
    assert answers[0].status == 200
    server.stop()
    assert serve(port=server.port).get(first).json["step"] == 1


def test_sigterm_ends_the_process_with_its_log(run: Path, tmp_path: Path) -> None:
    with ServerProcess(run, "--port=0", f"--store=sqlite:{tmp_path / 's.db'}") as server:
        session = Client(server.url).open("book")
        session.step("the ")
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        messages = [line["message"] for line in server.log]
        assert "draining" in messages
        for line in server.log:
            assert {"time", "level", "logger", "message"} <= set(line)
            assert session.id not in json.dumps(line)
        session.disconnect()
