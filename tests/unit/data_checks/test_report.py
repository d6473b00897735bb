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
    judged = [rule for rule in rules if done.row.get(rule.number) is not None]
    unjudged = tuple(rule for rule in rules if rule not in judged)
    found = (Outcome(rule, float(done.row[rule.number]), rule.name not in broken) for rule in judged)
    return Verdict(tuple(found), unjudged)


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
    links = [(name, value) for _, attributes in found for name, value in attributes.items() if name in ("src", "href")]
    assert links == [("href", "rejects.parquet")], "the one link is to the file beside it"
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
    page = page.replace('href="rejects.parquet"', "")
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
            "Distributions",
            ">Columns<",
            "Rules: ",
        )
    ]
    assert order == sorted(order)
    assert "rejected rows</strong>: 3.77 %, but must be at most 1 %" in page


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


def test_a_broken_rule_shows_its_examples_escaped_and_one_that_holds_shows_none(tmp_path: Path) -> None:
    lines = [*interactions(50), *(f"<b>bot</b>,i{n},{1_600_000_000 + n},watch,1" for n in range(30))]
    done = run(tmp_path, "INTERACTIONS", text(lines))
    broken = render(done.profile, verdict(done, {"busiest user"}), [])
    assert "<code>&lt;b&gt;bot&lt;/b&gt;: 30 rows (37.5 %)</code>" in broken
    assert "&gt;bot" not in render(done.profile, verdict(done, set()), [])


def test_an_import_stands_beside_the_one_before_it(tmp_path: Path) -> None:
    before = run(tmp_path, "INTERACTIONS", text(interactions(300)), name="monday").profile
    lines = [line.replace(",click,", ",watch,") for line in interactions(600)]
    done = run(tmp_path, "INTERACTIONS", text(lines), name="tuesday", before=before.summary)
    page = render(done.profile, verdict(done, {"EVENT_TYPE is spread as before"}), [])
    assert "before: monday" in page
    assert '<td>rows</td><td class="n">300</td><td class="n">600</td><td class="n">+100 %</td>' in page
    assert "click: 50 % in monday, 0 % now" in page
    assert "watch: 600 rows (at the earlier share: 300)" in page


def test_a_rule_that_the_group_has_set_says_so_and_one_without_a_number_says_why(tmp_path: Path) -> None:
    rules = rules_for(read_schema(INTERACTIONS, "INTERACTIONS"), {"users": {"severity": "critical", "minimum": 99}})
    users, new = (next(rule for rule in rules if rule.name == name) for name in ("users", "new users"))
    done = run(tmp_path, "INTERACTIONS", text(interactions(50)))
    page = render(done.profile, Verdict((Outcome(users, 50, False),), (new,)), [], {"data": "s3://shop/<x>"})
    assert "50, but must be at least 99 <span" in page and "set for this dataset group" in page
    assert "nothing to compare with" in page
    assert "<code>s3://shop/&lt;x&gt;</code>" in page
