"""The page: one HTML file with all pictures in it, and beside it the pictures and tables as files."""

import base64
import math
from html import escape
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text
from recurra.inspection.inspection import Inspection
from recurra.inspection.sections import Section, draw_sections
from recurra.inspection.tables import Table, detailed_tables, summary_tables

__all__ = ["report_inspection", "write_inspection"]

_STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff;
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th { vertical-align: bottom; } th:first-child, td.text { text-align: left; }
.wide { overflow-x: auto; } .facts td { text-align: left; }
.finding { border-left: 4px solid #c44536; background: #fbf1ef; padding: 0.5rem 1rem; margin: 0.7rem 0; }
.finding.none { border-color: #009e73; background: #eef7f3; }
.files { color: #555; font-size: 0.85rem; }
"""


def write_inspection(found: Inspection, folder: Path) -> Path:
    """Write `index.html`, the pictures as PNG and the tables as CSV.

    The page holds its pictures and needs no other file, and no network.

    Args:
        found: what `inspect` returned.
        folder: where to; made where it is not there.

    Returns:
        The page.

    Raises:
        RunError: if the folder cannot be written.
    """
    prepare_folder(folder)
    sections, summaries, details = draw_sections(found, folder), summary_tables(found), detailed_tables(found)
    for table in (*summaries, *details):
        write_text(folder / f"{table.name}.csv", table.csv())
    page = folder / "index.html"
    write_text(page, _page(found, sections, {table.name: table for table in summaries}, details))
    return page


def report_inspection(found: Inspection, folder: Path) -> str:
    """Write as `write_inspection` does; what to print: the findings, and where the page is."""
    page = write_inspection(found, folder)
    lines = [f"{finding.what}\n  {finding.advice}" for finding in found.findings]
    return "\n".join([*lines, f"page, pictures and tables: {page}"])


def _page(found: Inspection, sections: list[Section], summaries: dict[str, Table], details: list[Table]) -> str:
    words = found.words
    facts = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in words.facts.items())
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(words.title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(words.title)}</h1>",
        f'<table class="facts">{facts}</table>' if facts else "",
        "<h2>What to look at</h2>",
        *_findings(found),
    ]
    for section in sections:
        table = summaries.get(section.table)
        parts += [
            f"<h2>{escape(section.title)}</h2>",
            f"<p>{escape(section.how)} {escape(section.here)}</p>",
            f'<img alt="{escape(section.title)}" src="{_inline(section.picture)}">',
            "" if table is None else _table(table),
        ]
    files = ", ".join(f"{table.name}.csv" for table in (*summaries.values(), *details))
    parts.append(f'<p class="files">All figures, beside this page: {escape(files)}.</p></body></html>')
    return "\n".join(filter(None, parts)) + "\n"


def _findings(found: Inspection) -> list[str]:
    parts = [
        f'<div class="finding"><b>{escape(finding.what)}</b><br>{escape(finding.advice)}</div>'
        for finding in found.findings
    ]
    parts += [f'<div class="finding"><b>Not seen into:</b> {escape(reason)}</div>' for reason in found.unseen]
    return parts or ['<div class="finding none">Nothing unusual was found.</div>']


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<td class="text">{escape(value)}</td>'
    if isinstance(value, float):
        if math.isinf(value):
            return f"<td>{'-' if value < 0 else ''}&infin;</td>"
        return f"<td>{'-' if math.isnan(value) else f'{value:.4g}'}</td>"
    return f"<td>{value}</td>"


def _inline(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
