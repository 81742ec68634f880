"""The files of the page: what they name, and how they are served."""

import re
from html.parser import HTMLParser

import pytest
from serving import Serve

from recurra.server.app import PAGE

FILES = sorted(PAGE.iterdir())
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Names of XML, which nothing fetches.
NAMESPACES = ("http://www.w3.org/2000/svg",)


class _Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def elements() -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    return parser.found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_an_address_elsewhere(file) -> None:
    text = file.read_text(encoding="utf-8")
    for name in NAMESPACES:
        text = text.replace(name, "")
    assert not re.search(r"(?:https?|wss?|ftp):|[\"'(]//", text)


def test_nothing_is_inline(elements: list[tuple[str, dict[str, str | None]]]) -> None:
    for tag, attributes in elements:
        assert tag != "style"
        assert tag != "script" or attributes["src"]
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_every_field_has_a_label_and_every_reference_its_element(
    elements: list[tuple[str, dict[str, str | None]]],
) -> None:
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    for tag, attributes in elements:
        if tag in ("input", "select", "textarea", "meter", "progress") and attributes.get("type") != "checkbox":
            assert attributes["id"] in labelled
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)


def test_scripts_ask_for_elements_that_exist(elements: list[tuple[str, dict[str, str | None]]]) -> None:
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    asked = {
        name
        for file in PAGE.glob("*.js")
        for pattern in (r'byId\("([^"]+)"\)', r'on\("([^"]+)", "')
        for name in re.findall(pattern, file.read_text(encoding="utf-8"))
    }
    assert len(asked) > 30
    assert asked <= ids


def test_files_have_their_types_and_the_policy(serve: Serve) -> None:
    server = serve(token="a-token-of-the-tests")  # the page itself needs none
    for file in FILES:
        answer = server.get("/" if file.name == "index.html" else f"/page/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"].partition(";")[0] == TYPES[file.suffix]
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
    assert server.get("/page/none.js", token="a-token-of-the-tests").status == 404
    assert server.get("/v1/models").status == 401


def test_the_page_is_small() -> None:
    assert sum(file.stat().st_size for file in FILES) < 112_640
