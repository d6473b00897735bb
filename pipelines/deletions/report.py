"""report.html of a deletion: what was removed, what was searched afterwards, and never whom it was about."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from html import escape

from data_checks.page import page, table
from pipelines.deletions.proof import Place

KEPT = (
    "Not touched, because it is yours: the files that imports read, exports and batch outputs that were written already, "
    "backups, and PostgreSQL's write-ahead log until its next checkpoints have replaced it."
)


def render(
    title: str,
    about: Mapping[str, str],
    users: Sequence[str],
    removed: Mapping[str, int],
    places: Sequence[Place],
    notes: Sequence[str],
) -> str:
    """The whole page; `users` are counted and digested with a salt, so that who has the list can prove it is this one."""
    salt = secrets.token_hex(16)
    digest = hashlib.sha256("\n".join([salt, *sorted(users)]).encode("utf-8", "surrogatepass")).hexdigest()
    facts = {
        **about,
        "users": f"{len(users):,}",
        "their list": f"sha256 {digest} of the salt {salt} and the sorted ids, a line each",
    }
    left = sum(place.left for place in places)
    verdict = "Nothing of them is left." if not left else f"{left} places still hold one of them."
    return page(
        f"Data deletion {title}",
        [
            f'<p class="about">{"<br>".join(f"{escape(k)}: {escape(v)}" for k, v in facts.items())}</p>',
            f'<p class="verdict {"bad" if left else "good"}">{escape(verdict)}</p>',
            "<h2>Removed</h2>",
            table(
                (("what", False), ("how many", True)),
                ([escape(what), f"{count:,}"] for what, count in sorted(removed.items())),
                "removed",
            ),
            "<h2>Searched afterwards</h2>",
            table(
                (("place", False), ("searched", False), ("left", True)),
                ([escape(place.name), escape(place.searched), f"{place.left:,}"] for place in places),
                "searched",
            ),
            *(f"<p>{escape(note)}</p>" for note in (*notes, KEPT)),
        ],
    )
