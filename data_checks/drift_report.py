"""The part of an import's report that holds what came in against what deployed versions were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from data_checks.drift import RETRAIN
from data_checks.page import table

if TYPE_CHECKING:
    from data_checks.judge import Outcome
    from pipelines.datasets.deployed import Found

_WORDS = {
    "none": '<span class="good">holds</span>',
    "warning": '<span class="note">warning</span>',
    "critical": '<span class="bad">critical</span>',
}


def section(found: Sequence[Found]) -> str:
    """A table a training; empty when nothing is deployed."""
    return "<h2>Beside what is deployed</h2>" + "".join(map(_training, found)) if found else ""


def _training(found: Found) -> str:
    names = ", ".join(f"<code>{escape(one.version.arn)}</code>" for one in found.deployed)
    trained = found.deployed[0].trained.created_at
    intro = f"<p>{names}, trained on what there was on {trained:%Y-%m-%d}: {_WORDS[found.level]}</p>"
    hint = f'<div class="card bad"><p>{escape(found.hint)}</p></div>' if found.hint else ""
    headings = [
        ("number", False),
        ("", False),
        ("observed", True),
        ("warning unless", False),
        ("critical unless", False),
    ]
    if not found.verdict.outcomes:
        return f'{intro}<p class="soft small">Too few rows to compare.</p>'
    return intro + hint + table(headings, _rows(found), "Beside what is deployed") + _cards(found)


def _rows(found: Found) -> Iterator[Sequence[str]]:
    by_number: dict[str, dict[str, Outcome]] = {}
    for outcome in found.verdict.outcomes:
        # By its place among the rules of the number: a dataset group may have set its severity anew.
        kind = "critical" if outcome.rule.name.endswith(RETRAIN) else "warning"
        by_number.setdefault(outcome.rule.number, {})[kind] = outcome
    for outcomes in by_number.values():
        one = next(iter(outcomes.values()))
        broken = [outcome.rule.severity for outcome in outcomes.values() if not outcome.passed]
        level = "critical" if "critical" in broken else "warning" if broken else "none"
        bounds = [escape(outcomes[kind].rule.bounds) if kind in outcomes else "" for kind in ("warning", "critical")]
        yield (escape(one.rule.name.removesuffix(RETRAIN)), _WORDS[level], escape(one.rule.show(one.observed)), *bounds)


def _cards(found: Found) -> str:
    """What each broken number means, once, with examples."""
    cards, told = [], set()
    for outcome in [*found.verdict.failures, *found.verdict.warnings]:
        rule = outcome.rule
        if rule.number in told:
            continue
        told.add(rule.number)
        kind = "bad" if rule.severity == "critical" else "note"
        examples = "".join(f"<li><code>{escape(line)}</code></li>" for line in found.examples.get(rule.number, ()))
        cards.append(
            f'<div class="card {kind}"><p class="saw"><strong class="{kind}">{escape(rule.name.removesuffix(RETRAIN))}</strong>: '
            f"{escape(outcome.saw)}</p><p>{escape(rule.meaning)}</p>{f'<ul>{examples}</ul>' if examples else ''}</div>"
        )
    return "".join(cards)
