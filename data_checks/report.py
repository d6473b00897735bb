"""The report of an import: one HTML file that opens offline and loads nothing from anywhere.

Verdict first, then what is wrong with examples and lines, then the import beside the one before it, the distributions
and all rules. Whatever comes from the data is escaped, and a content security policy forbids scripts and loads besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from data_checks import drift_report
from data_checks.judge import Outcome, Verdict
from data_checks.page import page, table
from data_checks.plots import bars

if TYPE_CHECKING:
    from pipelines.datasets.deployed import Found
    from pipelines.datasets.profile import Profile, Summary
    from pipelines.datasets.profile_queries import Shape
    from pipelines.datasets.rejects import Group, Sample

SHOWN_VALUES = 15
SHOWN_REJECTS = 10
SHOWN_PLOTS = 24


def render(
    profile: Profile,
    verdict: Verdict,
    samples: Sequence[Sample],
    about: Mapping[str, str] | None = None,
    deployed: Sequence[Found] = (),
) -> str:
    """The report of a judged import; `about`: what a person knows it by (where the data came from, the job's ARN).

    `deployed`: what came of holding it against the trainings of deployed versions.
    """
    return page(
        f"{profile.dataset_type} import {profile.name}",
        [
            _about(about or {}),
            _verdict(verdict),
            _tiles(profile),
            _broken("Why it failed", "bad", verdict.failures, profile),
            _broken("Warnings", "note", verdict.warnings, profile),
            _groups(profile.rejects),
            _samples(samples, profile),
            drift_report.section(deployed),
            _beside(profile),
            _plots(profile),
            _columns(profile),
            _rules(verdict),
        ],
    )


def render_refusal(dataset_type: str, name: str, reason: str, about: Mapping[str, str] | None = None) -> str:
    """The report of an import that ended before there was anything to measure."""
    verdict = '<p class="verdict bad"><strong>Failed.</strong> The data was not taken in, and nothing was changed.</p>'
    why = f'<h2>Why it failed</h2><div class="card bad"><p>{escape(reason)}</p></div>'
    return page(f"{dataset_type} import {name}", [_about(about or {}), verdict, why])


def _about(about: Mapping[str, str]) -> str:
    lines = (f"{escape(name)}: <code>{escape(value)}</code>" for name, value in about.items())
    return f'<p class="about">{"<br>".join(lines)}</p>' if about else ""


def _verdict(verdict: Verdict) -> str:
    if not verdict.passed:
        count = len(verdict.failures)
        rules = "1 critical rule is" if count == 1 else f"{count} critical rules are"
        return f'<p class="verdict bad"><strong>Failed.</strong> {rules} broken; nothing was changed.</p>'
    if verdict.warnings:
        count = len(verdict.warnings)
        return f'<p class="verdict note"><strong>Imported, with {count} warning{"s" if count > 1 else ""}.</strong></p>'
    return '<p class="verdict good"><strong>Imported.</strong> All rules hold.</p>'


def _tiles(profile: Profile) -> str:
    row = profile.row
    repeated = "repeats left out" if "seconds_covered" in row else "older rows left out"
    names = {
        "records": "rows in the files",
        "rows": "good rows",
        "rejected": "rows rejected",
        "duplicates": repeated,
        "users": "users",
        "items": "items",
        "actions": "actions",
    }
    found = [(name, f"{row[key]:,}", "") for key, name in names.items() if row.get(key) is not None]
    if row.get("first_timestamp") is not None:
        days = "<br>to ".join(_day(row[end]) for end in ("first_timestamp", "last_timestamp"))
        found.append(("time (UTC)", days, ' class="words"'))
    tiles = "".join(f"<div><dt>{name}</dt><dd{kind}>{value}</dd></div>" for name, value, kind in found)
    return f'<dl class="tiles">{tiles}</dl>'


def _day(seconds: float | int | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d")


def _broken(heading: str, kind: str, outcomes: Sequence[Outcome], profile: Profile) -> str:
    if not outcomes:
        return ""
    return f"<h2>{heading}</h2>" + "".join(_card(outcome, kind, profile) for outcome in outcomes)


def _card(outcome: Outcome, kind: str, profile: Profile) -> str:
    rule = outcome.rule
    examples = "".join(f"<li><code>{escape(line)}</code></li>" for line in profile.examples.get(rule.number, ()))
    own = ' <span class="soft small">(set for this dataset group)</span>' if rule.is_overridden else ""
    return (
        f'<div class="card {kind}"><p class="saw"><strong class="{kind}">{escape(rule.name)}</strong>: '
        f"{escape(outcome.saw)}{own}</p><p>{escape(rule.meaning)}</p>{f'<ul>{examples}</ul>' if examples else ''}</div>"
    )


def _groups(groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    rows = (
        (
            f"{group.rows:,}",
            escape(group.column or "the row"),
            escape(group.reason),
            escape(group.first.place),
        )
        for group in groups
    )
    headings = [("rows", True), ("column", False), ("reason", False), ("first", False)]
    return "<h2>Rejected rows by reason</h2>" + table(headings, rows, "Rejected rows by reason")


def _samples(samples: Sequence[Sample], profile: Profile) -> str:
    if not samples:
        return ""
    headings = [("file", False), (samples[0].unit, True), ("column", False), ("value", False), ("reason", False)]
    first, more = samples[:SHOWN_REJECTS], samples[SHOWN_REJECTS:]
    rest = table(headings, map(_sample, more), f"The next {len(more)} rejects")
    return (
        f"<h2>The first {len(first)} rejects</h2>"
        f'<p class="soft small">All {profile.row["rejected"]:,} rejected rows are in <a href="rejects.parquet">rejects.parquet</a>; '
        f"<code>openpersonalize report {escape(profile.name)} --rejects</code> prints them as CSV.</p>"
        + table(headings, map(_sample, first), "The first rejects")
        + (f'<details class="inner"><summary>{len(more)} more</summary>{rest}</details>' if more else "")
    )


def _sample(sample: Sample) -> Sequence[str]:
    value = f"<code>{escape(sample.value)}</code>" if sample.value is not None else '<span class="soft">empty</span>'
    column = escape(sample.column or "the row")
    return (escape(sample.file), f"{sample.line:,}", column, value, escape(sample.reason))


# Beside the import before -------------------------------------------------------------------------------


def _beside(profile: Profile) -> str:
    """What can be compared with the dataset's last import."""
    before = profile.before
    if before is None:
        return ""
    names = {"rows": "rows", "rejected": "rejected rows", "users": "users", "items": "items", "actions": "actions"}
    names |= {"event_types": "event types"}
    rows = [
        _change(name, before.row.get(key), profile.row.get(key), is_share=False)
        for key, name in names.items()
        if key in before.row and key in profile.row
    ]
    for column in profile.columns:
        filled, middle = f"filled:{column.name}", f"median:{column.name}"
        if "nullable" in column.kind and filled in before.row:
            rows.append(_change(f"{column.name} filled", before.row[filled], profile.row[filled], is_share=True))
        if before.row.get(middle) is not None and profile.row.get(middle) is not None:
            rows.append(_change(f"{column.name}, median", before.row[middle], profile.row[middle], is_share=False))
    headings = [("", False), (f"before: {before.name}", True), ("now", True), ("change", True)]
    return "<h2>Beside the previous import</h2>" + table(headings, rows, "Beside the previous import")


def _change(name: str, before: float | int | None, now: float | int | None, *, is_share: bool) -> Sequence[str]:
    old, new = before or 0, now or 0
    if is_share:
        return (escape(name), f"{100 * old:.4g} %", f"{100 * new:.4g} %", f"{100 * (new - old):+.3g} points")
    change = f"{100 * (new - old) / abs(old):+.3g} %" if old else ""
    return (escape(name), _number(old), _number(new), "" if new == old else change)


def _number(value: float | int) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def _earlier(shape: Shape, before: Summary | None) -> Mapping[str, float]:
    """What each bar would be if its share were that of the previous import; only where all bars are the same in kind."""
    found = next((old for old in before.shapes if old.key == shape.key), None) if before is not None else None
    total = sum(count for _, count in found.bars) if found is not None else 0
    if found is None or not total or shape.key == "time" or shape.title != found.title:
        return {}
    labels, old = {label for label, _ in shape.bars}, dict(found.bars)
    # Bins of another width are no bars to compare with.
    if len(labels & set(old)) * 2 < len(labels):
        return {}
    scale = sum(count for _, count in shape.bars) / total
    return {label: old.get(label, 0) * scale for label in labels}


def _plots(profile: Profile) -> str:
    figures, compared = [], False
    for shape in profile.shapes[:SHOWN_PLOTS]:
        earlier = _earlier(shape, profile.before)
        compared = compared or bool(earlier)
        ordered = shape.unit != "rows" or shape.key == "time" or "distribution" in shape.title or "UTC" in shape.title
        shown = shape.bars if ordered else shape.bars[:SHOWN_VALUES]
        more = f' <span class="soft">(the {SHOWN_VALUES} most frequent)</span>' if len(shown) < len(shape.bars) else ""
        drawing = bars(shape.title, shape.unit, shown, earlier)
        figures.append(f"<figure><figcaption>{escape(shape.title)}{more}</figcaption>{drawing}</figure>")
    if not figures:
        return ""
    key = '<p class="soft small"><span class="key"></span>at the share of the previous import</p>' if compared else ""
    rest = len(profile.shapes) - len(figures)
    more = f'<p class="soft small">{rest} more columns are in the table below.</p>' if rest > 0 else ""
    return f'<h2>Distributions</h2>{key}<div class="plots">{"".join(figures)}</div>{more}'


# Columns and rules ------------------------------------------------------------------------------------------


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
    headings = [("column", False), ("type", False), ("filled", True), ("about distinct", True)]
    headings += [("smallest", False), ("largest", False)]
    return "<h2>Columns</h2>" + table(headings, rows, "Columns")


def _rules(verdict: Verdict) -> str:
    def state(outcome: Outcome) -> str:
        if outcome.passed:
            return '<span class="good">holds</span>'
        kind = "bad" if outcome.rule.severity == "critical" else "note"
        return f'<span class="{kind}">broken</span>'

    judged = [(outcome.rule, state(outcome), outcome.rule.show(outcome.observed)) for outcome in verdict.outcomes]
    unjudged = [(rule, '<span class="soft">nothing to compare with</span>', "") for rule in verdict.unjudged]
    rows = (
        (
            escape(rule.name),
            found,
            escape(observed),
            escape(rule.bounds),
            rule.severity + (", set for this group" if rule.is_overridden else ""),
        )
        for rule, found, observed in [*judged, *unjudged]
    )
    headings = [("rule", False), ("", False), ("observed", True), ("must be", False), ("if broken", False)]
    holding = sum(outcome.passed for outcome in verdict.outcomes)
    return (
        f"<details><summary>Rules: {holding} of {len(judged)} hold</summary>{table(headings, rows, 'Rules')}"
        '<p class="soft small"><code>openpersonalize checks GROUP --set "RULE=critical|warning|off,MIN..MAX"</code> sets a rule '
        "for a dataset group.</p></details>"
    )
