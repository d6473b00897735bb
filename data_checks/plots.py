"""Bar charts as inline SVG, readable without colour, script or font from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 420
LABEL_WIDTH = 130
ROW = 18
STRIP_HEIGHT = 90
MAX_LABELLED = 20


def bars(title: str, unit: str, values: Sequence[tuple[str, int]]) -> str:
    """Labelled rows for a few bars, a strip of columns for many; a table of the numbers is in each bar's title."""
    top = max((count for _, count in values), default=0) or 1
    alt = escape(f"{title}: " + ", ".join(f"{label} {count:,}" for label, count in values[:MAX_LABELLED]), quote=True)
    if len(values) > MAX_LABELLED:
        height, drawn = STRIP_HEIGHT + 18, _strip(values, unit, top)
    else:
        height, drawn = ROW * len(values) + 2, _rows(values, unit, top)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{alt}">{drawn}</svg>'


def _rows(values: Sequence[tuple[str, int]], unit: str, top: int) -> str:
    drawn = []
    for n, (label, count) in enumerate(values):
        y = n * ROW
        width = max((WIDTH - LABEL_WIDTH - 70) * count / top, 1)
        short = label if len(label) <= 20 else label[:19] + "…"
        drawn.append(
            f"<g><title>{escape(f'{label}: {count:,} {unit}')}</title>"
            f'<text x="{LABEL_WIDTH - 6}" y="{y + 13}" text-anchor="end">{escape(short)}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}"/>'
            f'<text x="{LABEL_WIDTH + width + 5:.1f}" y="{y + 13}">{count:,}</text></g>'
        )
    return "".join(drawn)


def _strip(values: Sequence[tuple[str, int]], unit: str, top: int) -> str:
    step = WIDTH / len(values)
    drawn = []
    for n, (label, count) in enumerate(values):
        height = STRIP_HEIGHT * count / top
        drawn.append(
            f"<g><title>{escape(f'{label}: {count:,} {unit}')}</title>"
            f'<rect x="{n * step:.1f}" y="{STRIP_HEIGHT - height:.1f}" width="{step * 0.85:.1f}" height="{height:.1f}"/></g>'
        )
    first, last = escape(values[0][0]), escape(values[-1][0])
    drawn.append(f'<text x="0" y="{STRIP_HEIGHT + 14}">{first}</text>')
    drawn.append(f'<text x="{WIDTH}" y="{STRIP_HEIGHT + 14}" text-anchor="end">{last}</text>')
    return "".join(drawn)
