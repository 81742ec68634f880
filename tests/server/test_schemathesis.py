"""The OpenAPI document against the server: schemathesis sends what it allows and what it does not."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serving import Serve

PROGRAM = shutil.which("schemathesis")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_server_keeps_to_its_document(serve: Serve, tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip("schemathesis is not installed (pip install schemathesis, in any environment of the PATH)")
    server = serve(max_sessions=100_000)
    options = [
        *("--max-examples=200", "--seed=1", "--workers=1", "--no-color", "--continue-on-failure"),
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]
    done = subprocess.run(
        [PROGRAM, "run", f"{server.url}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    metrics = server.get("/metrics").content.decode()
    assert 'status="500"' not in metrics
    counts = re.findall(r"^recurra_requests_total\{.*\} ([\d.]+)$", metrics, re.MULTILINE)
    assert sum(map(float, counts)) > 2000
