"""A look at what DVC tracks without a dvc process: links to the files, where they lie in the group's cache."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.repository.group import GroupRepository


def link_cached(repository: GroupRepository, tag: str, path_in_repo: str, destination: Path) -> bool:
    """Fill `destination` with links to the files of a tracked directory; False when not all of them are in the cache,
    or when that does not last (pipelines/repository/shared.py).

    Costs a hundredth of what `materialise` does, which fetches what is missing. Raises RepositoryError when the tag
    does not have the directory.
    """
    if repository.is_shared:
        return False
    listing = _object(repository, str(repository.pointer(tag, path_in_repo)["md5"]))
    if not listing.is_file():
        return False
    entries = {entry["relpath"]: _object(repository, entry["md5"]) for entry in json.loads(listing.read_bytes())}
    if not all(target.is_file() for target in entries.values()):
        return False
    for name, target in entries.items():
        link = destination / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    return True


def _object(repository: GroupRepository, md5: str) -> Path:
    """Where DVC 3 keeps the bytes of this digest."""
    return repository.layout.cache / "files" / "md5" / md5[:2] / md5[2:]
