"""How a run becomes a solution version: the four steps of DAG `solution_version`, each one function.

`claim` freezes the inputs, `reproduce` runs the stages in a worktree, `publish` makes the Bento and the version
ACTIVE, `deploy` moves the campaigns that follow; `fail` says why it ended early. All can be repeated after a crash.
"""

from pipelines.versions.claiming import claim
from pipelines.versions.deploying import deploy
from pipelines.versions.errors import VersionFailed, VersionGone
from pipelines.versions.failing import fail
from pipelines.versions.publishing import publish
from pipelines.versions.reproducing import reproduce

__all__ = ["VersionFailed", "VersionGone", "claim", "deploy", "fail", "publish", "reproduce"]
