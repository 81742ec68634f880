"""The steps of a run as WebAssembly: the routes, and what they refuse."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Answer, Serving
from small_runs import made_run

from recurra.errors import CompilerError
from recurra.export.c import has_web_assembly_compiler
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.tasks import load

pytestmark = [
    pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension"),
    pytest.mark.skipif(not has_web_assembly_compiler(), reason="clang or wasm-ld (Debian package lld) is missing"),
]
TOKEN = "a-token-of-the-tests"
KINDS = ("tag", "forecast", "regress", "language characters")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {kind: Path(made_run(kind, folder / kind.split()[0])[0]) for kind in KINDS}


@pytest.fixture(scope="module")
def made(runs: dict[str, Path]) -> dict[str, ServedModel]:
    return load_models([str(run) for run in runs.values()])


@pytest.fixture
def server(made: dict[str, ServedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    with Serving(made, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}", max_item_steps=40)) as serving:
        yield serving


def _refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def test_it_is_the_export_of_the_run(server: Serving, runs: dict[str, Path], tmp_path: Path) -> None:
    exported = load(runs["regress"]).export(to="c", weights_in="binary")
    exported.write(tmp_path / "c")
    code = server.get("/v1/models/regress/module.wasm")
    assert code.headers["content-type"] == "application/wasm"
    assert code.content[:4] == b"\0asm"
    weights = server.get("/v1/models/regress/module.bin").content
    assert weights == (tmp_path / "c" / "model.bin").read_bytes()
    module = server.get("/v1/models/regress/module").json
    assert module["weight_bytes"] == len(weights)
    assert module["facts"].keys() == {"mean", "deviation", "encoding"}
    assert (module["inputs"], module["outputs"], module["symbols"]) == (4, 1, 0)  # two numbers, and whether they miss


@pytest.mark.parametrize("kind", ["regress", "language"])
def test_the_first_state_is_the_streams(server: Serving, kind: str) -> None:
    state = base64.b64decode(server.get(f"/v1/models/{kind}/module").json["state"])
    stream = server.app.service.models[kind].stream
    assert stream is not None
    np.testing.assert_array_equal(np.frombuffer(state, "<f4"), stream.new_state().values[0])


@pytest.mark.parametrize(("kind", "item"), [("tag", "Ann"), ("regress", [None, 1.5]), ("language", "the fox")])
def test_an_item_as_inputs(server: Serving, kind: str, item: Any) -> None:
    stream = server.app.service.models[kind].stream
    assert stream is not None
    inputs = server.post(f"/v1/models/{kind}/inputs", {"item": item}).json["inputs"]
    np.testing.assert_array_equal(np.array(inputs, np.float32), stream.encode(item, stream.new_state()))


def test_items_that_cannot_be_read_are_refused(server: Serving) -> None:
    path = "/v1/models/language/inputs"
    for item in ("", None, 3, ["the"], {}):
        assert _refused(server.post(path, {"item": item})) == (422, "invalid_item")
    assert _refused(server.post(path, {"item": "the " * 11})) == (413, "item_too_long")
    assert _refused(server.post(path, {})) == (422, "invalid")


def test_what_has_no_module_says_why(server: Serving, made: dict[str, ServedModel]) -> None:
    listed = {model["name"]: model["server_only"] for model in server.get("/v1/models").json["models"]}
    assert [name for name, reason in listed.items() if not reason] == ["tag", "regress", "language"]
    assert "a forecaster reads its window anew" in listed["forecast"]
    for path in ("module", "module.wasm", "module.bin"):
        refused = server.get(f"/v1/models/forecast/{path}")
        assert (_refused(refused), refused.json["error"]["message"]) == ((409, "server_only"), listed["forecast"])
        assert _refused(server.get(f"/v1/models/none/{path}")) == (404, "unknown_model")
    assert _refused(server.post("/v1/models/forecast/inputs", {"item": 1})) == (409, "server_only")


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, True),
        ({"web_assembly": "never"}, False),
        ({"token": TOKEN}, False),
        ({"token": TOKEN, "web_assembly": "always"}, True),
    ],
)
def test_weights_are_given_to_those_alone_that_may_have_them(
    made: dict[str, ServedModel], options: dict[str, Any], allowed: bool, tmp_path: Path
) -> None:
    token = options.get("token", "")
    with Serving(made, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}", **options)) as server:
        answers = [server.get(f"/v1/models/regress/{path}", token=token) for path in ("module", "module.bin")]
        assert {answer.status for answer in answers} == {200 if allowed else 403}
        inputs = server.post("/v1/models/regress/inputs", {"item": [1, 2]}, token=token)
        assert inputs.status == (200 if allowed else 403)
        listed = server.get("/v1/models", token=token).json["models"]
        reasons = {model["server_only"] for model in listed if model["name"] != "forecast"}
        assert (reasons == {""}) is allowed
        if token:
            assert server.get("/v1/models/regress/module.bin").status == 401


def test_without_a_compiler_it_says_what_to_install(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("recurra.server.module.has_web_assembly_compiler", lambda: False)
        refused = server.get("/v1/models/tag/module")
        assert _refused(refused) == (501, "not_installed")
        assert "apt install clang lld" in refused.json["error"]["message"]
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise CompilerError("/usr/bin/clang could not compile")

        patched.setattr("recurra.server.module.compile_web_assembly", fail)
        refused = server.get("/v1/models/tag/module")
        assert _refused(refused) == (501, "not_compiled")
        assert "/usr/bin" not in refused.json["error"]["message"]
    assert server.get("/v1/models/tag/module").status == 200


def test_it_is_made_once(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.get("/v1/models/tag/module.wasm").content
    monkeypatch.setattr("recurra.server.service.make_module", lambda *_: pytest.fail("it was made again"))
    assert server.get("/v1/models/tag/module.wasm").content == first
