"""A simulated month with each explorationWeight (tests/support/month.py): `python -m tests.bench.exploration_bench [FOLDER]`.

Regret of a list: the clicks that the user's truly best 25 items would have brought, less those that its items bring, both
as they are to be expected. Bounds: with 0 the list is the pure ranking, so new items, which no training has seen, stay
out; with 0.3 they come in, exploration of them fades as they are shown, and a month's regret is the smaller. In FOLDER, if given:
exploration.csv with every day, regret.svg with the curves.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.support.month import Day, Plan, Shop

WEIGHTS = (0.0, 0.1, 0.3, 1.0)
COLOURS = {0.0: "#888888", 0.1: "#4a90d9", 0.3: "#2a9d4a", 1.0: "#d9534f"}
BARS = "▁▂▃▄▅▆▇█"
WIDTH, HEIGHT, MARGIN = 640, 360, 48


def sparkline(values: np.ndarray) -> str:
    """One character a value, from 0 to the largest."""
    return "".join(BARS[min(int(8 * value / (values.max() or 1)), 7)] for value in values)


def cumulative(days: list[Day]) -> np.ndarray:
    """(days,) regret from the first day on."""
    return np.cumsum([day.regret for day in days])


def svg(months: dict[float, list[Day]]) -> str:
    """Cumulative regret a user by day, a curve a weight."""
    curves = {weight: cumulative(days) for weight, days in months.items()}
    most, length = max(curve[-1] for curve in curves.values()), len(next(iter(curves.values())))

    def point(day: int, value: float) -> str:
        x = MARGIN + day / (length - 1) * (WIDTH - 2 * MARGIN)
        return f"{x:.1f},{HEIGHT - MARGIN - value / most * (HEIGHT - 2 * MARGIN):.1f}"

    parts = [f'<text x="{MARGIN}" y="24">Regret of a user, added up over the month (clicks)</text>']
    for weight, curve in curves.items():
        points = " ".join(point(day, value) for day, value in enumerate(curve))
        x, y = point(length - 1, curve[-1]).split(",")
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[weight]}" stroke-width="2"/>',
            f'<text x="{float(x) + 4}" y="{y}" fill="{COLOURS[weight]}">{weight:g}</text>',
        ]
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN
    parts += [
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="black"/>',
        f'<text x="{MARGIN - 8}" y="{MARGIN}" text-anchor="end">{most:.0f}</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">day {length}</text>',
    ]
    style = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" {style}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def write(folder: Path, months: dict[float, list[Day]]) -> None:
    """exploration.csv and regret.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "exploration.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["weight", "day", "new_share", "clicks", "best", "regret"])
        for weight, days in months.items():
            rows.writerows(
                [weight, n, *(f"{value:.5f}" for value in (day.new_share, day.clicks, day.best, day.regret))]
                for n, day in enumerate(days, start=1)
            )
    (folder / "regret.svg").write_text(svg(months))


def main(plan: Plan, out: Path | None) -> int:
    """Print the month, write it to `out`; 1 when a bound is missed."""
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        shops = {weight: Shop(plan, weight, Path(folder) / "artefact") for weight in WEIGHTS}
        months = {weight: shop.run() for weight, shop in shops.items()}
    table = Table(title=f"{plan.days} days, {plan.users} users, {plan.new_a_day} new items a day")
    for name in ("weight", "new items' places, day by day", "mean", "clicks a list", "regret a list", "of the month"):
        table.add_column(name)
    for weight, days in months.items():
        shares = np.array([day.new_share for day in days])
        clicks, regret = (np.mean([getattr(day, name) for day in days]) for name in ("clicks", "regret"))
        table.add_row(
            f"{weight:g}", sparkline(shares), f"{shares.mean():.1%}", f"{clicks:.3f}", f"{regret:.3f}",
            f"{cumulative(days)[-1]:.1f}",
        )  # fmt: skip
    console.print(table)
    ages = Table(title="places of a list that exploration gives to the items of one day, by days since they came")
    for name in ("weight", "by day", "day 1", "day 2", "day 3", "day 7"):
        ages.add_column(name)
    for weight, shop in shops.items():
        places = shop.places_by_age()[:14]
        ages.add_row(f"{weight:g}", sparkline(places), *(f"{places[day]:.2f}" for day in (0, 1, 2, 6)))
    console.print(ages)
    if out is not None:
        write(out, months)
    bounds = {
        "with 0 new items stay out": months[0.0][2].new_share < 0.01,
        "with 0.3 they come in": shops[0.3].places_by_age()[0] > 0.4,
        "and exploration of them fades as they are shown": shops[0.3].places_by_age()[6]
        < 0.5 * shops[0.3].places_by_age()[0],
        "more weight, more new items": months[1.0][2].new_share > months[0.3][2].new_share > months[0.1][2].new_share,
        "0.3 costs less regret in a month than 0": cumulative(months[0.3])[-1] < cumulative(months[0.0])[-1],
    }
    for bound, holds in bounds.items():
        console.print(f"{'holds' if holds else 'MISSED'}: {bound}")
    return 0 if all(bounds.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Plan(), Path(sys.argv[1]) if len(sys.argv) > 1 else None))
