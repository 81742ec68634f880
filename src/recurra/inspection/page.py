"""The page: one HTML file with all pictures in it, and beside it the pictures and tables as files."""

import math
from html import escape
from pathlib import Path
from typing import Any

from recurra.files import prepare_folder, write_text
from recurra.inspection import texts
from recurra.inspection.document import document, help_element, picture_element
from recurra.inspection.inspection import Inspection
from recurra.inspection.sections import Section, draw_sections
from recurra.inspection.tables import Table, detailed_tables, summary_tables

__all__ = ["report_inspection", "write_inspection"]


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
        *_standing(inspection),
        f'<table class="facts">{facts}</table>' if facts else "",
        _contents(sections),
        help_element(),
        '<h2 id="findings">What to look at</h2>',
        *_findings(inspection),
    ]
    for index, section in enumerate(sections, start=1):
        table = summaries.get(section.table)
        parts += [
            f'<h2 id="section-{index}">{escape(section.title)}</h2>',
            f"<p>{escape(section.how)} {escape(section.here)}</p>",
            picture_element(section.picture, section.title, section.here),
            "" if table is None else _table(table),
        ]
    files = ", ".join(f"{table.name}.csv" for table in (*summaries.values(), *details))
    parts.append(f'<p class="files">The files beside this page hold all figures: {escape(files)}.</p>')
    return document(words.title, parts)


def _contents(sections: list[Section]) -> str:
    links = [("findings", "What to look at"), *((f"section-{k}", s.title) for k, s in enumerate(sections, start=1))]
    entries = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links)
    return f'<nav aria-label="Contents"><ol>{entries}</ol></nav>'


def _standing(inspection: Inspection) -> list[str]:
    """Where the model loses to a baseline, what to doubt, and its scores."""
    standing = inspection.standing
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
        parts += [_table(table, standing.title), f"<p>{_subset(inspection)}</p>"]
    if standing.validation:
        parts.append(f"<p>{escape(texts.VALIDATION.format(score=standing.validation))}</p>")
    return parts


def _subset(inspection: Inspection) -> str:
    """How many of the examples scored the sections look at."""
    count = inspection.gradients.sequences
    sections = (
        texts.SUBSET_NAMED if inspection.words.facts else texts.SUBSET_ONE if count == 1 else texts.SUBSET_COUNTED
    )
    return texts.SUBSET.format(sections=sections.format(count=count))


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
        # Scores come as text, with as many digits as they deserve.
        is_number = value.replace(".", "", 1).removeprefix("-").isdecimal()
        return f"<td>{value}</td>" if is_number else f'<td class="text">{escape(value)}</td>'
    if isinstance(value, float):
        if math.isinf(value):
            return f"<td>{'-' if value < 0 else ''}&infin;</td>"
        return f"<td>{'-' if math.isnan(value) else f'{value:.4g}'}</td>"
    return f"<td>{value}</td>"
