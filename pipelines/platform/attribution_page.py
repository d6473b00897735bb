"""What an attribution says as an HTML page: a plot and a table a metric. It loads nothing, from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from data_checks.page import page, table
from pipelines.datasets.attribution import WINDOW_SECONDS, Metric, Sum
from pipelines.platform.attribution_command import Found
from pipelines.platform.attribution_views import (
    COLUMNS,
    cells,
    described,
    moment,
    nothing,
    number,
    remarks,
    short,
    span,
)

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 880, 260, 70, 10, 14, 26
STEPS = (WINDOW_SECONDS, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
"""Seconds that a point of a line may stand for."""
MOST_POINTS = 120
# Okabe and Ito's: told apart by people who do not see all colours, on light and dark.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OTHERS = "#888888"
Lines = Mapping[str, Sequence[float]]


def render(found: Found) -> str:
    """The whole page."""
    about = f'<p class="about">{escape(found.arn)}<br>{escape(span(found))}</p>'
    notes = "".join(f'<p class="small soft">{escape(note)}</p>' for note in remarks(found))
    return page(f"{found.name}: {found.group}", [about, *_metrics(found), notes])


def _metrics(found: Found) -> Iterator[str]:
    for metric in found.metrics:
        yield f'<h2>{escape(metric.name)}</h2><p class="about">{escape(described(metric))}</p>'
        rows = found.rows[metric.name]
        if not rows:
            yield f"<p>{escape(nothing(metric))}</p>"
            continue
        yield _figure(metric, [one for one in found.sums if one.metric == metric.name], [row.source for row in rows])
        headings = [(column, column != "source") for column in COLUMNS]
        yield table(headings, [[escape(row.source), *map(escape, cells(row))] for row in rows], metric.name)


def _figure(metric: Metric, sums: Sequence[Sum], sources: Sequence[str]) -> str:
    first, last = min(one.start for one in sums), max(one.start for one in sums) + WINDOW_SECONDS
    step = next((step for step in STEPS if (last - first) / step <= MOST_POINTS), STEPS[-1])
    begin = first // step * step
    points = -(-(last - begin) // step)
    lines = _lines(sums, sources, begin, step, points)
    names = [short(name) for name in lines]
    key = "".join(
        f'<span class="small"><span class="key" style="background:{colour}"></span>{escape(name)}&ensp;</span>'
        for name, colour in zip(names, _colours(lines), strict=True)
    )
    caption = f"{metric.name} by {_words(step)}"
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>{_plot(caption, lines, begin, step)}<p>{key}</p></figure>"
    )


def _lines(sums: Sequence[Sum], sources: Sequence[str], begin: int, step: int, points: int) -> Lines:
    """By source, the value of each step; those that have no colour of their own together."""
    own = sources[: len(COLOURS)]
    others = f"{len(sources) - len(own)} others"
    lines = {name: [0.0] * points for name in (*own, *([others] if len(sources) > len(own) else ()))}
    for one in sums:
        lines[one.source if one.source in own else others][(one.start - begin) // step] += one.value
    return lines


def _colours(lines: Lines) -> list[str]:
    return [*COLOURS, OTHERS][: len(lines)] if len(lines) <= len(COLOURS) else [*COLOURS, OTHERS]


def _plot(alt: str, lines: Lines, begin: int, step: int) -> str:
    """Lines over time, with the largest value and zero marked on the left, the ends and the middle of time below."""
    points = len(next(iter(lines.values())))
    top = max(max(line) for line in lines.values())
    bottom = min(0.0, *(min(line) for line in lines.values()))
    top = top if top > bottom else bottom + 1
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(point: float) -> float:
        return LEFT + across * (point + 0.5) / points

    def y(value: float) -> float:
        return TOP + down * (top - value) / (top - bottom)

    drawn = [
        f'<line class="axis" x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}"/>'
        f'<text class="dim" x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{escape(number(value))}</text>'
        for value in sorted({bottom, 0.0, top / 2, top})
    ]
    for point, anchor in sorted({0: "start", points // 2: "middle", points - 1: "end"}.items()):
        drawn.append(
            f'<text class="dim" x="{x(point):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor if points > 2 else "middle"}">'
            f"{moment(begin + point * step)}</text>"
        )
    for (name, line), colour in zip(lines.items(), _colours(lines), strict=True):
        path = " ".join(f"{x(point):.1f},{y(value):.1f}" for point, value in enumerate(line))
        drawn.append(
            f'<g><title>{escape(name)}</title><polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            + "".join(_dot(x(n), y(value), colour, f"{short(name)}, {moment(begin + n * step)}: {number(value)}")
                      for n, value in enumerate(line) if value)
            + "</g>"
        )  # fmt: skip
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt, quote=True)}">{"".join(drawn)}</svg>'
    )


def _dot(x: float, y: float, colour: str, hint: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"><title>{escape(hint)}</title></circle>'


def _words(step: int) -> str:
    for seconds, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if step % seconds == 0:
            count = step // seconds
            return name if count == 1 else f"{count} {name}s"
    raise AssertionError(step)
