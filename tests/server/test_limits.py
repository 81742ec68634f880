"""Limits on size, sessions, rate and idle time, and what a full server says."""

import threading
import time

import pytest
from serving import Serve

from recurra.server.rate import RateLimit
from recurra.server.refusal import Refusal


def test_a_body_that_is_too_large_is_refused(serve: Serve) -> None:
    server = serve(max_message_bytes=1000)
    session = server.session()
    refused = server.step(session, 1, "x" * 1000)
    assert (refused.status, refused.code) == (413, "too_large")
    assert server.step(session, 1, "x" * 900).status == 200


def test_a_body_of_unknown_length_is_counted(serve: Serve) -> None:
    import http.client

    server = serve(max_message_bytes=1000)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    chunks = iter([b'{"data": "', *([b"x" * 100] * 20), b'"}'])
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/v1/models/book/predict", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"too_large" in answer.read()
    connection.close()


def test_an_item_of_too_many_steps_is_refused(serve: Serve) -> None:
    server = serve(max_item_steps=5)
    session = server.session()
    refused = server.step(session, 1, "foxfox")
    assert (refused.status, refused.code) == (413, "item_too_long")
    assert server.step(session, 1, "foxes").status == 200


def test_there_are_no_more_sessions_than_allowed(serve: Serve) -> None:
    server = serve(max_sessions=2)
    first = server.session()
    server.session()
    refused = server.post("/v1/models/book/sessions", {})
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "too_many_sessions", "60")
    server.request("DELETE", first)
    server.session()


def test_an_unused_session_ends(serve: Serve) -> None:
    server = serve(idle_seconds=1.0)
    used, unused = server.session(), server.session()
    end = time.monotonic() + 1.5
    number = 0
    while time.monotonic() < end:
        number += 1
        assert server.step(used, number, "fox").status == 200
        time.sleep(0.02)
    assert server.step(unused, 1, "fox").status == 404


def test_too_many_requests_of_a_token_are_refused(serve: Serve, tmp_path) -> None:
    (tmp_path / "tokens").write_text("token-of-the-first token-of-the-other")
    server = serve(token_file=str(tmp_path / "tokens"), rate=3.0)
    answers = [server.get("/v1/models", token="token-of-the-first") for _ in range(5)]
    assert [answer.status for answer in answers[:3]] == [200, 200, 200]
    assert {answer.status for answer in answers[3:]} <= {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.code, refused.headers["retry-after"]) == ("too_many_requests", "1")
    assert server.get("/v1/models", token="token-of-the-other").status == 200
    assert server.get("/healthz").status == 200


def test_the_rate_is_that_of_a_second_refilled_all_the_time() -> None:
    clock = [0.0]
    limit = RateLimit(2.0, lambda: clock[0])
    for _ in range(2):
        limit.spend("a")
    with pytest.raises(Refusal) as refused:
        limit.spend("a")
    assert refused.value.status_code == 429
    limit.spend("b")
    clock[0] = 0.5
    limit.spend("a")
    with pytest.raises(Refusal):
        limit.spend("a")
    clock[0] = 100.0
    for _ in range(2):
        limit.spend("a")
    with pytest.raises(Refusal):
        limit.spend("a")
    for _ in range(1000):
        RateLimit(0.0).spend("a")


def test_a_full_queue_is_refused_at_once(serve: Serve) -> None:
    server = serve(max_waiting=1, deadline_ms=1000.0, max_batch=8)
    sessions = [server.session() for _ in range(3)]
    statuses: list[int] = []

    def step(session: str) -> None:
        answer = server.step(session, 1, "the ")
        statuses.append(answer.status)
        if answer.status == 503:
            assert (answer.code, answer.headers["retry-after"]) == ("busy", "1")

    threads = [threading.Thread(target=step, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 503, 503]


def test_predictions_that_wait_are_bounded(serve: Serve) -> None:
    server = serve()
    service = server.app.service
    service._predictions["book"] = 10**6
    refused = server.post("/v1/models/book/predict", {"data": "the "})
    assert (refused.status, refused.code) == (503, "busy")
    service._predictions["book"] = 0
    service._calls = 10**6
    refused = server.post("/v1/models/book/sessions", {})
    assert (refused.status, refused.code) == (503, "busy")
    service._calls = 0
