"""How a run becomes a solution version: the steps of DAG `solution_version`, each one function.

`claim` freezes the inputs, `reproduce` runs the stages in a worktree, `publish` makes the Bento and the version
ACTIVE, `judge` says whether a person must be asked first, `deploy` moves the campaigns that follow; `fail` says why it
ended early. All can be repeated after a crash.
"""

from pipelines.registry.working import set_failed as fail
from pipelines.versions.claiming import claim
from pipelines.versions.deploying import deploy, is_deployed
from pipelines.versions.errors import DeploymentFailed, VersionFailed, VersionGone, VersionStopped
from pipelines.versions.publishing import publish
from pipelines.versions.reproducing import reproduce
from pipelines.versions.rollout import judge

__all__ = [
    "DeploymentFailed",
    "VersionFailed",
    "VersionGone",
    "VersionStopped",
    "claim",
    "deploy",
    "fail",
    "is_deployed",
    "judge",
    "publish",
    "reproduce",
]
