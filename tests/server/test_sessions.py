"""Sessions over HTTP and WebSocket: steps are taken once, in their order, and stored."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from serving import Serve, Serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from recurra.server.served_model import ServedModel

ITEMS = ["the ", "quick", " brown", " f", "ox"]


def _expected(models: dict[str, ServedModel], items: list[str]) -> list[Any]:
    """The results of an uninterrupted stream, as JSON gives them."""
    stream = models["book"].stream
    assert stream is not None
    state = stream.new_state()
    return [json.loads(json.dumps(stream.step([item], [state])[0])) for item in items]


def _socket(server: Serving, session: str, **more: Any) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}{session}/socket", **more)


def test_models_are_listed_with_what_they_read(serve: Serve) -> None:
    (model,) = serve().get("/v1/models").json["models"]
    assert model == {
        "name": "book",
        "task": "language",
        "streams": True,
        "item": "a piece of text",
        "example": "the ",
        "ends": False,
        "server_only": "",
        "network_size": 16,  # two states of 8 units
    }


def test_steps_have_the_results_of_the_stream_itself(serve: Serve, models: dict[str, ServedModel]) -> None:
    server = serve()
    session = server.session()
    answers = [server.step(session, number, item) for number, item in enumerate(ITEMS, start=1)]
    assert [answer.status for answer in answers] == [200] * len(ITEMS)
    assert [answer.json["step"] for answer in answers] == [1, 2, 3, 4, 5]
    assert [answer.json["result"] for answer in answers] == _expected(models, ITEMS)
    assert server.get(session).json["next_step"] == 6


def test_the_last_step_sent_again_is_answered_and_not_taken_twice(serve: Serve, models: dict[str, ServedModel]) -> None:
    server = serve()
    session = server.session()
    server.step(session, 1, ITEMS[0])
    first, again = server.step(session, 2, ITEMS[1]), server.step(session, 2, ITEMS[1])
    assert first.content == again.content
    assert server.step(session, 3, ITEMS[2]).json["result"] == _expected(models, ITEMS)[2]


@pytest.mark.parametrize("number", [1, 2, 5, 2**53])
def test_another_number_is_refused_with_the_expected_one(serve: Serve, number: int) -> None:
    server = serve()
    session = server.session()
    for step in (1, 2, 3):
        server.step(session, step, "fox")
    refused = server.step(session, number, "fox")
    assert (refused.status, refused.code) == (409, "wrong_step")
    assert refused.json["error"]["expected_step"] == 4
    assert server.step(session, 4, "fox").status == 200


def test_the_last_step_with_another_item_is_refused(serve: Serve) -> None:
    server = serve()
    session = server.session()
    server.step(session, 1, "the")
    refused = server.step(session, 1, "fox")
    assert (refused.status, refused.code) == (409, "another_item")


def test_a_websocket_takes_the_same_steps(serve: Serve, models: dict[str, ServedModel]) -> None:
    server = serve()
    session, expected = server.session(), _expected(models, ITEMS)
    assert server.step(session, 1, ITEMS[0]).json["result"] == expected[0]
    with _socket(server, session) as socket:
        for number in (2, 3):
            socket.send(json.dumps({"step": number, "item": ITEMS[number - 1]}))
            assert json.loads(socket.recv()) == {"step": number, "result": expected[number - 1]}
        # Messages that do not wait for their answers are answered in their order.
        for number in (4, 5):
            socket.send(json.dumps({"step": number, "item": ITEMS[number - 1]}))
        assert [json.loads(socket.recv())["result"] for _ in range(2)] == expected[3:]
    assert server.get(session).json["step"] == 5


def test_a_refused_message_leaves_the_websocket_open(serve: Serve) -> None:
    server = serve()
    session = server.session()
    with _socket(server, session) as socket:
        for message, code in (
            ("{", "invalid_json"),
            ('{"step": 1, "item": NaN}', "invalid_json"),
            ('{"step": "1", "item": "fox"}', "invalid"),
            ('{"step": 1}', "invalid"),
            ("[]", "invalid"),
            ('{"step": 3, "item": "fox"}', "wrong_step"),
            ('{"step": 1, "item": 4}', "invalid_item"),
            (b"\xff", "invalid_json"),
        ):
            socket.send(message)
            assert json.loads(socket.recv())["error"]["code"] == code, message
        socket.send('{"step": 1, "item": "fox"}')
        assert json.loads(socket.recv())["step"] == 1
    assert server.get(session).json["step"] == 1


def test_a_message_that_is_too_large_closes_the_websocket_alone(serve: Serve) -> None:
    server = serve(max_message_bytes=1000)
    session = server.session()
    with _socket(server, session) as socket:
        socket.send(json.dumps({"step": 1, "item": "x" * 2000}))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert server.step(session, 1, "fox").status == 200


def test_a_websocket_of_no_session_is_refused(serve: Serve) -> None:
    server = serve()
    for session in ("A" * 22, "short"):
        with pytest.raises(InvalidStatus) as refused:
            _socket(server, f"/v1/models/book/sessions/{session}")
        assert refused.value.response.status_code == 404
        assert b"unknown_session" in (refused.value.response.body or b"")


def test_a_state_begins_another_session(serve: Serve) -> None:
    server = serve()
    first = server.session()
    server.step(first, 1, "the ")
    state = server.get(f"{first}/state").json
    assert state["step"] == 1
    created = server.post("/v1/models/book/sessions", {"state": state["state"]})
    second = f"/v1/models/book/sessions/{created.json['session']}"
    assert server.step(second, 1, "fox").json["result"] == server.step(first, 2, "fox").json["result"]


def test_a_state_that_cannot_be_one_is_refused(serve: Serve, models: dict[str, ServedModel]) -> None:
    server, stream = serve(), models["book"].stream
    assert stream is not None
    spoiled, wide = stream.new_state(), stream.stepper.new_state(2)
    spoiled.values[0, 0] = float("nan")
    for state in (
        "§",
        "AAAA",
        base64.b64encode(stream.new_state().to_bytes()[:-1]).decode(),
        base64.b64encode(spoiled.to_bytes()).decode(),
        base64.b64encode(wide.to_bytes()).decode(),
    ):
        refused = server.post("/v1/models/book/sessions", {"state": state})
        assert (refused.status, refused.code) == (422, "invalid_state")


def test_a_closed_session_is_gone(serve: Serve) -> None:
    server = serve()
    session = server.session()
    assert server.request("DELETE", session).status == 204
    for refused in (server.get(session), server.step(session, 1, "fox"), server.request("DELETE", session)):
        assert (refused.status, refused.code) == (404, "unknown_session")


def test_sessions_outlive_the_server(serve: Serve, models: dict[str, ServedModel]) -> None:
    first = serve()
    session = first.session()
    before = [first.step(session, number, ITEMS[number - 1]).json["result"] for number in (1, 2)]
    first.stop()
    second = serve()
    after = [second.step(session, number, ITEMS[number - 1]).json["result"] for number in (2, 3, 4, 5)]
    assert [*before, *after[1:]] == _expected(models, ITEMS)
    assert after[0] == before[1]


def test_a_whole_input_is_predicted(serve: Serve, models: dict[str, ServedModel]) -> None:
    found = serve().post("/v1/models/book/predict", {"data": "the quick"})
    assert found.status == 200
    tokens = models["book"].estimator.predict("the quick")
    assert [token["text"] for token in found.json["predictions"]] == [token.text for token in tokens]


def test_a_text_is_never_the_path_of_a_file(serve: Serve, run: Path) -> None:
    refused = serve().post("/v1/models/book/predict", {"data": [str(run / "learned.json")]})
    assert (refused.status, refused.code) == (422, "invalid_data")
