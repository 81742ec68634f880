"""Health, metrics, logs, the OpenAPI document, and the command."""

import io
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import Serve

from recurra.cli.main import main
from recurra.errors import ParameterError, RunError
from recurra.server.logs import log_as_json
from recurra.server.served_model import load_models


def test_health_and_readiness(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    assert server.get("/healthz").json == {"status": "ok"}
    assert server.get("/readyz").json == {"status": "ready"}
    server.app.service._store.close()
    refused = server.get("/readyz")
    assert (refused.status, refused.code) == (503, "not_ready")
    for answer in (server.post("/v1/models/book/sessions", {}), server.get(f"/v1/models/book/sessions/{'A' * 22}")):
        assert (answer.status, answer.code) == (503, "store_unavailable")
    assert server.get("/healthz").status == 200


def test_metrics_count_steps_batches_and_sessions(serve: Serve) -> None:
    server = serve()
    session = server.session()
    for number in (1, 2, 3):
        server.step(session, number, "fox")
    server.step(session, 9, "fox")
    server.post("/v1/models/book/predict", {"data": "a"})
    server.get("/nothing")
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    values = dict(re.findall(r"^([a-z_]+(?:\{.*\})?) ([\d.e+-]+)$", answer.content.decode(), re.MULTILINE))
    expected = {
        'recurra_step_seconds_count{model="book"}': 3,
        'recurra_batch_steps_count{model="book"}': 4,
        'recurra_batch_steps_bucket{le="1.0",model="book"}': 4,
        'recurra_predict_seconds_count{model="book"}': 1,
        "recurra_sessions": 1,
        "recurra_websockets": 0,
        'recurra_waiting_steps{model="book"}': 0,
        'recurra_refusals_total{code="wrong_step"}': 1,
        'recurra_requests_total{route="/v1/models/{name}/sessions/{session}/step",status="200"}': 3,
        'recurra_requests_total{route="other",status="404"}': 1,
    }
    assert {name: float(values[name]) for name in expected} == expected
    assert session.rpartition("/")[2] not in answer.content.decode()


def test_an_error_inside_is_logged_and_not_shown(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()

    async def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of /some/path")

    monkeypatch.setattr(server.app.service, "predict", fail)
    refused = server.post("/v1/models/book/predict", {"data": "a"})
    assert (refused.status, refused.code) == (500, "internal")
    assert b"secret" not in refused.content
    end = time.monotonic() + 10
    while "a secret of /some/path" not in caplog.text:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_logs_are_json_a_line() -> None:
    stream = io.StringIO()
    log_as_json(stream)
    log = logging.getLogger("recurra.server")
    log.info("one\nline", extra={"facts": {"status": 200}})
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "one\nline"
    assert (first["level"], first["status"], first["logger"]) == ("info", 200, "recurra.server")
    assert "ValueError: why" in second["traceback"]
    logging.getLogger("uvicorn").handlers = []


def test_the_openapi_document_has_an_example_of_every_body(serve: Serve) -> None:
    document = serve().get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    bodies = 0
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["summary"], (path, method)
            contents = [route.get("requestBody", {}), *route["responses"].values()]
            for content in contents:
                name = content.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
                if name:
                    bodies += 1
                    assert schemas[name.rpartition("/")[2]]["examples"], name
    assert bodies > 20


def test_the_reference_page_needs_no_network(serve: Serve) -> None:
    server = serve()
    page = server.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    text = page.content.decode()
    for path in server.get("/openapi.json").json["paths"]:
        assert path in text
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", text)


def test_names_of_runs(run: Path, tmp_path: Path) -> None:
    assert set(load_models([str(run), f"other={run}"])) == {"book", "other"}
    with pytest.raises(ParameterError, match="another name"):
        load_models([str(run), str(run)])
    with pytest.raises(ParameterError, match="letters, digits"):
        load_models([f"a b={run}"])
    with pytest.raises(RunError, match="not a run"):
        load_models([str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RUN"),
        (["RUN", "--host", "0.0.0.0"], "host: expected a loopback address"),
        (["RUN", "--deadline-ms", "-1"], "deadline_ms"),
        (["RUN", "--store", "memory"], "store"),
        (["RUN", "--prot", "80"], "Did you mean 'port'?"),
        (["none", "--port", "0"], "none: not a run"),
        (["RUN", "--store", "sqlite:/none/at/all.db"], "cannot be opened as a store"),
        (["RUN", "--token-file", "/none"], "token_file"),
    ],
)
def test_a_mistaken_command_is_one_line(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *(str(run) if word == "RUN" else word for word in arguments)]) == 2
    found = capsys.readouterr().err
    assert found.startswith("recurra: error: ")
    assert found.count("\n") == 1
    assert message in found
    logging.getLogger("uvicorn").handlers = []


def test_help_shows_the_options_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from recurra.cli.main import main; main(['serve', '--help-all']); "
        "print([name for name in ('torch', 'numpy', 'fastapi', 'pydantic', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for option in ("--token-file", "--store", "--deadline-ms", "--max-sessions", "--idle-seconds", "--rate"):
        assert option in done.stdout


def test_a_port_that_is_taken_is_named(serve: Serve, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    port = serve().port
    assert main(["serve", str(run), "--port", str(port), "--store", f"sqlite:{tmp_path / 'other.db'}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"port: expected one that is free to listen at, got '127.0.0.1:{port}'" in lines[-1]
    logging.getLogger("uvicorn").handlers = []


def test_the_extra_is_asked_for(run: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; from recurra.cli.main import main; "
        "sys.exit(main(['serve', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "recurra: error: `recurra serve` needs uvicorn: pip install 'recurra[serve]'\n"
