"""The OpenAPI document as a page that needs no network."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

__all__ = ["reference_page"]

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow-x:auto;padding:.6rem .8rem;border-radius:.4rem;
background:color-mix(in srgb,currentColor 8%,transparent)}h2{margin-top:2.2rem;font-size:1.05rem}td{padding-right:1rem;
vertical-align:top}
"""


def reference_page(document: dict[str, Any]) -> str:
    """Every route with its purpose, an example of its body, and its answers.

    Args:
        document: of OpenAPI 3.1.
    """
    title = f"{document['info']['title']} {document['info']['version']}"
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [f"<p>{escape(text)}</p>" for text in document["info"].get("description", "").split("\n\n")]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts.extend(_route(document, path, method, route))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _route(document: dict[str, Any], path: str, method: str, route: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(route.get('summary', ''))}.</p>"
    for example in _examples(document, route.get("requestBody", {})):
        yield f"<pre>{escape(json.dumps(example, ensure_ascii=False))}</pre>"
    rows = []
    for status, answer in route["responses"].items():
        examples = [json.dumps(one, ensure_ascii=False) for one in _examples(document, answer)] if status < "3" else []
        shown = "".join(f"<pre>{escape(one)}</pre>" for one in examples)
        rows.append(f"<tr><td><code>{status}</code></td><td>{escape(answer['description'])}{shown}</td></tr>")
    yield f"<table>{''.join(rows)}</table>"


def _examples(document: dict[str, Any], holder: dict[str, Any]) -> list[Any]:
    schema = holder.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return document.get("components", {}).get("schemas", {}).get(name, schema).get("examples", [])
