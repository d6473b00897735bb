"""An HTML page that opens offline: style, frame and tables. Everything handed in as text is escaped by who writes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
"""Neither scripts nor loads, from anywhere; whoever serves the page sends it as a header too."""

STYLE = """
:root{color-scheme:light dark;--ink:#1b2026;--soft:#5a6470;--line:#dde2e8;--page:#fff;--card:#f6f8fa;--bar:#3b6fb6;--was:#d0721e;
--good:#17693a;--good-bg:#e8f5ed;--bad:#a3231b;--bad-bg:#fdecea;--note:#7a5200;--note-bg:#fdf4df}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#a2acb6;--line:#353d46;--page:#14171b;--card:#1c2127;--bar:#7fb0f0;--was:#f0a45c;
--good:#74d49c;--good-bg:#12291c;--bad:#ff968c;--bad-bg:#351816;--note:#f2c566;--note-bg:#2e2510}}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0}
main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.55rem;line-height:1.25;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.4rem 0 .7rem}p{margin:.4rem 0}
.soft{color:var(--soft)}.small{font-size:.875rem}code{font:.875em ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
.about{color:var(--soft);font-size:.9rem;margin:.3rem 0 0;overflow-wrap:anywhere}
.verdict{border-radius:.5rem;padding:.8rem 1.1rem;margin:1.2rem 0;font-size:1.1rem;border-left:.4rem solid}
.good{color:var(--good)}.bad{color:var(--bad)}.note{color:var(--note)}
.verdict.good{background:var(--good-bg)}.verdict.bad{background:var(--bad-bg)}.verdict.note{background:var(--note-bg)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.6rem,1fr));gap:.6rem;margin:0}
.tiles div{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}.tiles dt{color:var(--soft);font-size:.8rem}
.tiles dd{margin:0;font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.tiles dd.words{font-size:.85rem;white-space:nowrap}
.card{background:var(--card);border-radius:.5rem;border-left:.25rem solid;padding:.7rem 1rem;margin:.6rem 0}.card.bad{border-color:var(--bad)}.card.note{border-color:var(--note)}
.card p,.card li{color:var(--ink)}.card .saw{font-variant-numeric:tabular-nums}.card ul{margin:.4rem 0 0;padding-left:1.2rem;font-size:.9rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th{color:var(--soft);font-weight:600;font-size:.8rem}th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line)}
td{overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.8rem 2rem}figure{margin:0;min-width:0}
figcaption{font-size:.9rem;font-weight:600;margin-bottom:.4rem;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg .bar{fill:var(--bar)}svg .was{fill:var(--was)}svg .axis{stroke:var(--line)}svg text{fill:var(--ink);font:11px system-ui,sans-serif}svg .dim{fill:var(--soft)}
.key{display:inline-block;width:.8em;height:.25em;background:var(--was);vertical-align:middle;margin-right:.35em}
details{margin:2.4rem 0 0}summary{cursor:pointer;font-size:1.15rem;font-weight:600}details.inner{margin:.6rem 0 0}details.inner summary{font-size:.9rem}a{color:inherit}
@media print{main{max-width:none;padding:0}}
"""


def page(title: str, sections: Iterable[str]) -> str:
    """The whole document; empty sections leave no trace."""
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n<h1>{escape(title)}</h1>\n"
        f"{body}\n</main></body></html>\n"
    )


def table(headings: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], label: str) -> str:
    """`headings`: text and whether the column holds numbers; cells are HTML already; `label` names it to a screen reader."""
    marks = [' class="n"' if number else "" for _, number in headings]
    head = "".join(
        f'<th scope="col"{mark}>{escape(text)}</th>' for (text, _), mark in zip(headings, marks, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label, quote=True)}"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )
