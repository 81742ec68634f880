"""The page: one HTML file with all pictures in it, and beside it the pictures and tables as files."""

import base64
import math
from html import escape
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text
from recurra.inspection import texts
from recurra.inspection.inspection import Inspection
from recurra.inspection.sections import Section, draw_sections
from recurra.inspection.standing import Standing
from recurra.inspection.tables import Table, detailed_tables, summary_tables

__all__ = ["report_inspection", "write_inspection"]

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff;
       font: 16px/1.5 system-ui, sans-serif; }
nav ol { columns: 2; padding-left: 1.4rem; }
a { color: #1f5fa8; }
caption { text-align: left; padding-bottom: 0.3rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th { vertical-align: bottom; } th:first-child, td.text { text-align: left; }
.wide { overflow-x: auto; } .facts td { text-align: left; }
.finding { border-left: 4px solid #c44536; background: #fbf1ef; padding: 0.5rem 1rem; margin: 0.7rem 0; }
.finding.none { border-color: #009e73; background: #eef7f3; }
.files { color: #555; font-size: 0.85rem; }
@media (max-width: 40rem) { nav ol { columns: 1; } }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1a1a1a; } a { color: #8ab8f0; } .files { color: #aaa; }
  th, td { border-bottom-color: #444; }
  .finding { background: #33211e; } .finding.none { background: #1b2b25; }
  /* White becomes the page's own dark, and hues stay what the legends say. */
  img { filter: invert(0.898) hue-rotate(180deg); }
}
"""


def write_inspection(inspection: Inspection, folder: Path) -> Path:
    """Write `index.html`, the pictures as PNG and the tables as CSV.

    The page holds its pictures and needs no other file, and no network.

    Args:
        inspection: what `inspect` returned.
        folder: where to; made where it is not there.

    Returns:
        The page.

    Raises:
        RunError: if the folder cannot be written.
    """
    prepare_folder(folder)
    sections, summaries, details = (
        draw_sections(inspection, folder),
        summary_tables(inspection),
        detailed_tables(inspection),
    )
    for table in (*summaries, *details):
        write_text(folder / f"{table.name}.csv", table.csv())
    page = folder / "index.html"
    write_text(page, _page(inspection, sections, {table.name: table for table in summaries}, details))
    return page


def report_inspection(inspection: Inspection, folder: Path) -> str:
    """Write as `write_inspection` does; what to print: the findings, and where the page is."""
    page = write_inspection(inspection, folder)
    lines = []
    if inspection.standing is not None:
        for baseline in inspection.standing.better:
            lines.append(texts.BEATEN.format(baseline=baseline, score=inspection.standing.main))
            lines.append(f"  {texts.TRY_TO_BEAT.format(baseline=baseline)}")
        lines += inspection.standing.warnings
    lines += [f"{finding.what}\n  {finding.advice}" for finding in inspection.findings]
    return "\n".join([*lines, f"page, pictures and tables: {page}"])


def _page(inspection: Inspection, sections: list[Section], summaries: dict[str, Table], details: list[Table]) -> str:
    words = inspection.words
    facts = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in words.facts.items())
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(words.title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(words.title)}</h1>",
        *_standing(inspection.standing),
        f'<table class="facts">{facts}</table>' if facts else "",
        _contents(sections),
        '<h2 id="findings">What to look at</h2>',
        *_findings(inspection),
    ]
    for index, section in enumerate(sections, start=1):
        table = summaries.get(section.table)
        parts += [
            f'<h2 id="section-{index}">{escape(section.title)}</h2>',
            f"<p>{escape(section.how)} {escape(section.here)}</p>",
            f'<img alt="{escape(f"{section.title}. {section.here}")}" src="{_inline(section.picture)}">',
            "" if table is None else _table(table),
        ]
    files = ", ".join(f"{table.name}.csv" for table in (*summaries.values(), *details))
    parts.append(f'<p class="files">The files beside this page hold all figures: {escape(files)}.</p></body></html>')
    return "\n".join(filter(None, parts)) + "\n"


def _contents(sections: list[Section]) -> str:
    links = [("findings", "What to look at"), *((f"section-{k}", s.title) for k, s in enumerate(sections, start=1))]
    entries = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links)
    return f'<nav aria-label="Contents"><ol>{entries}</ol></nav>'


def _standing(standing: Standing | None) -> list[str]:
    """Where the model loses to a baseline, what to doubt, and its scores."""
    if standing is None:
        return []
    parts = [
        _finding(
            texts.BEATEN.format(baseline=baseline, score=standing.main), texts.TRY_TO_BEAT.format(baseline=baseline)
        )
        for baseline in standing.better
    ]
    parts += [f'<div class="finding"><b>{escape(warning)}</b></div>' for warning in standing.warnings]
    if standing.rows:
        table = Table("scores", standing.title, tuple(standing.columns), tuple(map(tuple, standing.rows)))
        parts += [_table(table, standing.title), f"<p>{texts.SUBSET}</p>"]
    if standing.validation:
        parts.append(f"<p>{escape(texts.VALIDATION.format(score=standing.validation))}</p>")
    return parts


def _finding(what: str, advice: str) -> str:
    return f'<div class="finding"><b>{escape(what)}</b><br>{escape(advice)}</div>'


def _findings(inspection: Inspection) -> list[str]:
    parts = [_finding(finding.what, finding.advice) for finding in inspection.findings]
    parts += [f'<div class="finding">{escape(sentence)}</div>' for sentence in inspection.unseen]
    doubted = inspection.standing is not None and (inspection.standing.better or inspection.standing.warnings)
    if not parts and doubted:
        return [f"<p>{texts.SEE_ABOVE}</p>"]
    return parts or [f'<div class="finding none">{texts.NO_FINDINGS}</div>']


def _table(table: Table, caption: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return f'<div class="wide"><table>{titled}<tr>{head}</tr>{body}</table></div>'


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
