"""Which campaigns exist and what each is to serve: as the registry says, read in one statement.

Polled five times a second by every worker, so the first look is a narrow one (`fingerprint`), and only what differs is
read in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bento.database import Database, Row

ACTIVE = "ACTIVE"
CREATE_FAILED = "CREATE FAILED"
_ENDED = frozenset({CREATE_FAILED, "DELETE PENDING", "DELETE IN_PROGRESS"})

_USERS = """
LEFT JOIN openpersonalize.resources users
       ON users.group_id = c.group_id AND users.kind = 'Dataset' AND users.doc ->> 'datasetType' = 'USERS'
"""
_EXPERIMENT = "LEFT JOIN openpersonalize.experiments e ON e.campaign_id = c.id AND e.ended_at IS NULL"
_FINGERPRINT = f"""
SELECT c.id, c.status, c.internal #>> '{{deployment,id}}', c.doc ->> 'solutionVersionArn',
       c.doc #>> '{{latestCampaignUpdate,status}}', users.id, e.id, e.started_at
FROM openpersonalize.resources c {_USERS} {_EXPERIMENT} WHERE c.kind = 'Campaign' ORDER BY c.id
"""


def _version(alias: str) -> str:
    """The columns that `_version_of` reads."""
    return (
        f"{alias}.id, {alias}.parent_id, {alias}.arn, {alias}.internal ->> 'event_cutoff', "
        f"{alias}.internal #>> '{{record_cutoffs,USERS}}', {alias}.internal ->> 'edition'"
    )


# `wanted` and `challenger` are the versions of internal.deployment, `serving` that of the describe answer.
_CAMPAIGNS = f"""
SELECT c.id, c.arn, c.name, c.status, c.group_id, users.id,
       c.internal #>> '{{deployment,id}}', c.doc #>> '{{latestCampaignUpdate,status}}',
       {_version("wanted")}, c.internal #>> '{{deployment,config}}', {_version("serving")}, c.doc ->> 'campaignConfig',
       {_version("challenger")}, e.id, e.share, extract(epoch FROM e.started_at)::float8
FROM openpersonalize.resources c {_USERS} {_EXPERIMENT}
LEFT JOIN openpersonalize.resources wanted
       ON wanted.id = c.internal #>> '{{deployment,solution_version_id}}' AND wanted.kind = 'SolutionVersion'
LEFT JOIN openpersonalize.resources challenger
       ON challenger.id = c.internal #>> '{{deployment,challenger,solution_version_id}}'
          AND challenger.kind = 'SolutionVersion'
LEFT JOIN openpersonalize.resources serving
       ON serving.arn = c.doc ->> 'solutionVersionArn' AND serving.kind = 'SolutionVersion'
WHERE c.kind = 'Campaign'
"""


@dataclass(frozen=True, slots=True)
class Version:
    """A solution version as far as serving it needs."""

    id: str
    solution_id: str
    arn: str
    event_cutoff: int
    """Streamed events up to this id are in the version's training; only later ones are read per request."""
    record_cutoff: int
    """The same of records of the Users dataset."""
    edition: int
    """How often its artefact was written anew, because users were deleted from it; the newest is to be served."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a campaign serves, or is to serve: a version, and campaignConfig as JSON."""

    version: Version
    config: str
    challenger: Version | None = None
    """What is to be loaded beside it for an experiment, to be served with the same configuration."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment that has not ended."""

    id: str
    share: int
    """Per cent of users that get the challenger."""
    starts_at: float | None
    """Epoch seconds from which on they do; None: workers are still loading it."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign's row."""

    id: str
    arn: str
    name: str
    status: str
    group_id: str
    users: str | None
    """Id of the group's Users dataset."""
    deployment_id: str
    """What was asked for last; workers report it once they serve it. Empty: nothing was asked for."""
    update_failed: bool
    wanted: Deployed | None
    serving: Deployed | None
    experiment: Experiment | None = None

    @property
    def is_active(self) -> bool:
        return self.status == ACTIVE

    @property
    def is_ended(self) -> bool:
        """Nothing is to be loaded for it any more."""
        return self.status in _ENDED

    @property
    def wants_change(self) -> bool:
        """Whether the wanted deployment is still to be served: a failed update goes back to what was serving."""
        return not (self.update_failed and _control(self.wanted) != self.serving)


async def fingerprint(database: Database) -> list[Row]:
    """Something that differs whenever `campaigns` would."""
    return await database.rows(_FINGERPRINT)


async def campaigns(database: Database) -> list[Campaign]:
    """All campaigns, in any state."""
    return [_campaign(row) for row in await database.rows(_CAMPAIGNS)]


def _campaign(row: Row) -> Campaign:
    return Campaign(
        id=row[0],
        arn=row[1],
        name=row[2],
        status=row[3],
        group_id=row[4],
        users=row[5],
        deployment_id=row[6] or "",
        update_failed=row[7] == CREATE_FAILED,
        wanted=_deployed(_version_of(*row[8:14]), row[14], _version_of(*row[22:28])),
        serving=_deployed(_version_of(*row[15:21]), row[21]),
        experiment=Experiment(*row[28:31]) if row[28] else None,
    )


def _deployed(version: Version | None, config: str | None, challenger: Version | None = None) -> Deployed | None:
    return None if version is None else Deployed(version, config or "{}", challenger)


def _control(deployed: Deployed | None) -> Deployed | None:
    return deployed and replace(deployed, challenger=None)


def _version_of(
    id: str | None,
    solution_id: str,
    arn: str,
    event_cutoff: str | None,
    record_cutoff: str | None,
    edition: str | None,
) -> Version | None:
    if id is None:
        return None
    return Version(id, solution_id, arn, int(event_cutoff or 0), int(record_cutoff or 0), int(edition or 0))
