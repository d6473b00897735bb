"""Git and DVC under every dataset group: where snapshots and solution versions are kept.

One bare Git repository a group, one worktree a running job, one cache for all of them: three `dvc repro` in one
workspace block each other, in worktrees they all succeed. Nothing above this room runs git or dvc itself.
"""

from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.group import GroupRepository
from pipelines.repository.worktree import Worktree

__all__ = ["CommandFailed", "GroupRepository", "RepositoryError", "Worktree"]
