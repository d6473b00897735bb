"""`python -m pipelines.versions.restore <version id>`: rebuild a version's model and Bento from the DVC remote.

For a machine that did not make the version, or a Bento store that was lost: the store is only a view.
"""

from __future__ import annotations

import logging
import sys

from pipelines.repository import RepositoryError
from pipelines.settings import Settings
from pipelines.versions.errors import VersionGone
from pipelines.versions.publishing import restore


def main(arguments: list[str]) -> int:
    """Exit code 0 when the version is there, 1 with one line on standard error otherwise, 2 for wrong usage."""
    if len(arguments) != 1:
        print("usage: python -m pipelines.versions.restore <version id>", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        restore(Settings.from_env(), arguments[0])
    except (VersionGone, RepositoryError) as error:
        print(f"solution version {arguments[0]} cannot be restored: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
