"""The report opens offline, says the verdict first, and takes nothing from the data at its word."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from data_checks.judge import Outcome, Verdict, rules_for
from data_checks.report import render, render_refusal
from pipelines.datasets.schema import read_schema
from tests.support.imports import INTERACTIONS, Imported, interactions, run, text

HOSTILE = '"><script src=https://evil.example/x.js></script><img src=//evil.example/y onerror=alert(1)>'
REMOTE = re.compile(r"""(src|href|action|data|xlink:href)\s*=|url\s*\(|@import|<script|<link|<iframe""", re.IGNORECASE)


def verdict(done: Imported, broken: set[str]) -> Verdict:
    """As if GX had found the rules of those names broken."""
    rules = rules_for(read_schema(INTERACTIONS, "INTERACTIONS"))
    return Verdict(tuple(Outcome(rule, float(done.row[rule.number] or 0), rule.name not in broken) for rule in rules))


def hostile(tmp_path: Path) -> Imported:
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    lines = [*interactions(50), f"{quoted},i,never,watch,", f"u,{quoted},1600000000,{quoted},1", "u,i,1600000000"]
    return run(tmp_path, "INTERACTIONS", text(lines), name="a<b>&c")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.seen


def test_nothing_is_loaded_from_anywhere_even_if_the_data_asks_for_it(tmp_path: Path) -> None:
    done = hostile(tmp_path)
    page = render(done.profile, verdict(done, {"rejected rows"}), done.rejects)
    assert "&lt;script" in page, "the hostile value is shown, escaped"
    found = tags(page)
    assert not {tag for tag, _ in found} & {"script", "link", "iframe", "img", "object", "base", "form"}
    assert not [
        name for _, attributes in found for name in attributes if name in ("src", "href") or name.startswith("on")
    ]
    assert not REMOTE.search(re.sub(r"<title>.*?</title>|>[^<]*<", "><", re.sub(r'aria-label="[^"]*"', "", page)))
    assert "default-src 'none'" in page


def test_the_verdict_comes_first_then_the_reasons_then_the_numbers(tmp_path: Path) -> None:
    done = hostile(tmp_path)
    page = render(done.profile, verdict(done, {"rejected rows", "users"}), done.rejects)
    order = [
        page.index(word)
        for word in (
            "Failed.",
            "Why it failed",
            "Warnings",
            "Rejected rows by reason",
            "The first",
            ">Rules<",
            ">Columns<",
            "Distributions",
        )
    ]
    assert order == sorted(order)
    assert "rejected rows: 3.77 %, but must be at most 1 %" in page


def test_each_reject_shows_file_line_column_and_value(tmp_path: Path) -> None:
    done = run(tmp_path, "INTERACTIONS", text([*interactions(50), "u,i,soon,watch,"]))
    page = render(done.profile, verdict(done, set()), done.rejects)
    for cell in (
        "<td>0.csv</td>",
        '<td class="n">52</td>',
        "<td>TIMESTAMP</td>",
        "<code>soon</code>",
        "is not a whole number",
    ):
        assert cell in page


def test_a_good_import_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "INTERACTIONS", text(interactions(50)))
    page = render(done.profile, verdict(done, set()), [])
    assert "Imported.</strong> All rules hold." in page
    assert page.count("<svg") == page.count('role="img"') == len(done.profile.shapes) >= 4
    assert all(attributes.get("aria-label") for tag, attributes in tags(page) if tag == "svg")


def test_a_refusal_is_escaped_too() -> None:
    page = render_refusal("ITEMS", "<job>", HOSTILE)
    assert "<script src" not in page and "&lt;script" in page and "&lt;job&gt;" in page
