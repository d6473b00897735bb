"""The report of an import: one HTML file that opens offline and loads nothing from anywhere.

Verdict first, then what is wrong with examples and lines, then the numbers and the distributions. Whatever comes
from the data is escaped, and a content security policy forbids scripts and remote loads besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from data_checks.judge import Outcome, Verdict
from data_checks.plots import bars

if TYPE_CHECKING:
    from pipelines.datasets.profile import Profile
    from pipelines.datasets.rejects import Group, Sample

STYLE = """
:root{color-scheme:light dark;--ink:#1d2126;--soft:#5d6772;--line:#d9dee4;--page:#fff;--good:#1a6b3c;--bad:#a5281f;--note:#7a5200;--bar:#3b6fb6}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#a4adb7;--line:#3a424b;--page:#15181c;--good:#6fce96;--bad:#ff8f85;--note:#f0c060;--bar:#7fb0f0}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.4rem 0}.soft{color:var(--soft)}
.verdict{border-left:.4rem solid;padding:.3rem 1rem;margin:1.2rem 0;font-size:1.1rem}
.good{color:var(--good);border-color:var(--good)}.bad{color:var(--bad);border-color:var(--bad)}.note{color:var(--note);border-color:var(--note)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.5rem}figure{margin:0}figcaption{font-size:.9rem;margin-bottom:.3rem}
svg{width:100%;height:auto}svg rect{fill:var(--bar)}svg text{fill:var(--ink);font:11px system-ui,sans-serif}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(profile: Profile, verdict: Verdict, samples: Sequence[Sample]) -> str:
    """The report of a judged import."""
    title = f"{profile.dataset_type} import {profile.name}"
    return _page(
        title,
        [
            _verdict(verdict),
            _summary(profile),
            _broken("Why it failed", "bad", verdict.failures),
            _broken("Warnings", "note", verdict.warnings),
            _groups(profile.rejects),
            _samples(samples),
            _rules(verdict),
            _columns(profile),
            _plots(profile),
        ],
    )


def render_refusal(dataset_type: str, name: str, reason: str) -> str:
    """The report of an import that ended before there was anything to measure."""
    verdict = '<p class="verdict bad"><strong>Failed.</strong> The data could not be read, and nothing was changed.</p>'
    return _page(f"{dataset_type} import {name}", [verdict, f"<p>{escape(reason)}</p>"])


def _page(title: str, sections: Iterable[str]) -> str:
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n<h1>{escape(title)}</h1>\n"
        f"{body}\n</main></body></html>\n"
    )


def _verdict(verdict: Verdict) -> str:
    if not verdict.passed:
        count = len(verdict.failures)
        text = f"<strong>Failed.</strong> {count} critical rule{'s are' if count > 1 else ' is'} broken; nothing was changed."
        return f'<p class="verdict bad">{text}</p>'
    if verdict.warnings:
        count = len(verdict.warnings)
        return f'<p class="verdict note"><strong>Imported, with {count} warning{"s" if count > 1 else ""}.</strong></p>'
    return '<p class="verdict good"><strong>Imported.</strong> All rules hold.</p>'


def _summary(profile: Profile) -> str:
    row = profile.row
    kept = (row["records"] or 0) - (row["rejected"] or 0)
    parts = [f"{row['records']:,} data rows: {kept:,.0f} good, {row['rejected']:,} rejected"]
    if row["duplicates"]:
        parts.append(f"{row['duplicates']:,} of the good ones repeat others and were left out")
    if row.get("users") is not None:
        parts.append(f"{row['users']:,} users, {row['items']:,} items")
    return f'<p class="soft">{escape("; ".join(parts))}.</p>'


def _broken(heading: str, kind: str, outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return ""
    lines = "".join(
        f'<li><strong class="{kind}">{escape(str(outcome))}.</strong> {escape(outcome.rule.meaning)}</li>'
        for outcome in outcomes
    )
    return f"<h2>{heading}</h2><ul>{lines}</ul>"


def _table(headings: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """`headings`: text and whether the column holds numbers; cells are HTML already."""
    marks = [' class="n"' if number else "" for _, number in headings]
    head = "".join(
        f'<th scope="col"{mark}>{escape(text)}</th>' for (text, _), mark in zip(headings, marks, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _groups(groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    rows = (
        (
            f"{group.rows:,}",
            escape(group.column or "the row"),
            escape(group.reason),
            escape(f"{group.first.file} line {group.first.line}"),
        )
        for group in groups
    )
    return "<h2>Rejected rows by reason</h2>" + _table(
        [("rows", True), ("column", False), ("reason", False), ("first", False)], rows
    )


def _samples(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    rows = (
        (
            escape(sample.file),
            f"{sample.line:,}",
            escape(sample.column or "the row"),
            f"<code>{escape(sample.value)}</code>" if sample.value is not None else '<span class="soft">empty</span>',
            escape(sample.reason),
        )
        for sample in samples
    )
    headings = [("file", False), ("line", True), ("column", False), ("value", False), ("reason", False)]
    return (
        f"<h2>The first {len(samples)} rejects</h2><p class=soft>All of them: rejects.parquet beside this file.</p>"
        + _table(headings, rows)
    )


def _rules(verdict: Verdict) -> str:
    def state(outcome: Outcome) -> str:
        if outcome.passed:
            return '<span class="good">holds</span>'
        kind = "bad" if outcome.rule.severity == "critical" else "note"
        return f'<span class="{kind}">broken</span>'

    rows = (
        (
            escape(outcome.rule.name),
            state(outcome),
            escape(outcome.rule.show(outcome.observed)),
            escape(outcome.rule.bounds),
            outcome.rule.severity,
        )
        for outcome in verdict.outcomes
    )
    headings = [("rule", False), ("", False), ("observed", True), ("must be", False), ("if broken", False)]
    return "<h2>Rules</h2>" + _table(headings, rows)


def _columns(profile: Profile) -> str:
    rows = (
        (
            escape(column.name),
            escape(column.kind),
            f"{100 * column.filled:.4g} %",
            f"{column.distinct:,}",
            escape(column.smallest or ""),
            escape(column.largest or ""),
        )
        for column in profile.columns
    )
    headings = [
        ("column", False),
        ("type", False),
        ("filled", True),
        ("about distinct", True),
        ("smallest", False),
        ("largest", False),
    ]
    return "<h2>Columns</h2>" + _table(headings, rows)


def _plots(profile: Profile) -> str:
    if not profile.shapes:
        return ""
    figures = "".join(
        f"<figure><figcaption>{escape(shape.title)}</figcaption>{bars(shape.title, shape.unit, shape.bars)}</figure>"
        for shape in profile.shapes
    )
    return f'<h2>Distributions</h2><div class="plots">{figures}</div>'
