"""Bar charts as inline SVG, readable without colour, script or font from elsewhere.

Where an earlier import has the same bars, a mark shows how high each would be if its share were still the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 440
LABEL_WIDTH = 120
NUMBER_WIDTH = 80
ROW = 19
STRIP_HEIGHT = 110
MAX_ROWS = 16

Bars = Sequence[tuple[str, int]]


def bars(title: str, unit: str, values: Bars, before: Mapping[str, float] | None = None) -> str:
    """Rows for a few bars, a strip of columns for many; `before`: what each bar would be at its earlier share."""
    earlier = before or {}
    top = max([count for _, count in values] + [earlier.get(label, 0) for label, _ in values], default=0) or 1
    alt = escape(f"{title}: " + ", ".join(f"{label} {count:,}" for label, count in values[:MAX_ROWS]), quote=True)
    if len(values) > MAX_ROWS:
        height, drawn = STRIP_HEIGHT + 32, _strip(values, earlier, unit, top)
    else:
        height, drawn = ROW * len(values) + 2, _rows(values, earlier, unit, top)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{alt}">{drawn}</svg>'


def _hint(label: str, count: int, earlier: Mapping[str, float], unit: str) -> str:
    was = f" (at the earlier share: {earlier[label]:,.0f})" if label in earlier else ""
    return f"<title>{escape(f'{label}: {count:,} {unit}{was}')}</title>"


def _rows(values: Bars, earlier: Mapping[str, float], unit: str, top: float) -> str:
    drawn = []
    room = WIDTH - LABEL_WIDTH - NUMBER_WIDTH
    for n, (label, count) in enumerate(values):
        y, width = n * ROW, max(room * count / top, 1)
        short = label if len(label) <= 19 else label[:18] + "…"
        end = max(width, room * earlier.get(label, 0) / top)
        mark = ""
        if label in earlier:
            mark = f'<rect class="was" x="{LABEL_WIDTH + room * earlier[label] / top - 1.5:.1f}" y="{y + 1}" width="3" height="{ROW - 4}"/>'
        drawn.append(
            f"<g>{_hint(label, count, earlier, unit)}"
            f'<text x="{LABEL_WIDTH - 7}" y="{y + 13}" text-anchor="end">{escape(short)}</text>'
            f'<rect class="bar" x="{LABEL_WIDTH}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}" rx="1.5"/>{mark}'
            f'<text class="dim" x="{LABEL_WIDTH + end + 6:.1f}" y="{y + 13}">{count:,}</text></g>'
        )
    return "".join(drawn)


def _strip(values: Bars, earlier: Mapping[str, float], unit: str, top: float) -> str:
    step, base = WIDTH / len(values), STRIP_HEIGHT + 14
    drawn = [
        f'<text class="dim" x="0" y="10">{top:,.0f} {escape(unit)}</text>',
        f'<line class="axis" x1="0" y1="{base + 0.5}" x2="{WIDTH}" y2="{base + 0.5}"/>',
    ]
    for n, (label, count) in enumerate(values):
        height = max(STRIP_HEIGHT * count / top, 1.5 if count else 0) * 0.96
        mark = ""
        if label in earlier:
            at = base - STRIP_HEIGHT * 0.96 * earlier[label] / top
            mark = f'<rect class="was" x="{n * step:.1f}" y="{at - 1:.1f}" width="{step * 0.86:.1f}" height="2"/>'
        drawn.append(
            f"<g>{_hint(label, count, earlier, unit)}"
            # As high as the drawing, so that the hint of an empty bar can be found.
            f'<rect x="{n * step:.1f}" y="14" width="{step:.1f}" height="{STRIP_HEIGHT}" fill="none" pointer-events="all"/>'
            f'<rect class="bar" x="{n * step:.1f}" y="{base - height:.1f}" width="{step * 0.86:.1f}" height="{height:.1f}"/>{mark}</g>'
        )
    middle = len(values) // 2
    for x, label, anchor in (
        (0.0, values[0][0], "start"),
        ((middle + 0.43) * step, values[middle][0], "middle"),
        (float(WIDTH), values[-1][0], "end"),
    ):
        drawn.append(f'<text class="dim" x="{x:.1f}" y="{base + 14}" text-anchor="{anchor}">{escape(label)}</text>')
    return "".join(drawn)
