"""Which campaigns exist and what each is to serve: as the registry says, read in one statement.

Polled five times a second by every worker, so the first look is a narrow one (`fingerprint`), and only what differs is
read in full.
"""

from __future__ import annotations

from dataclasses import dataclass

from bento.database import Database, Row

ACTIVE = "ACTIVE"
CREATE_FAILED = "CREATE FAILED"
_ENDED = frozenset({CREATE_FAILED, "DELETE PENDING", "DELETE IN_PROGRESS"})

_USERS = """
LEFT JOIN openpersonalize.resources users
       ON users.group_id = c.group_id AND users.kind = 'Dataset' AND users.doc ->> 'datasetType' = 'USERS'
"""
_FINGERPRINT = f"""
SELECT c.id, c.status, c.internal #>> '{{deployment,id}}', c.doc ->> 'solutionVersionArn',
       c.doc #>> '{{latestCampaignUpdate,status}}', users.id
FROM openpersonalize.resources c {_USERS} WHERE c.kind = 'Campaign' ORDER BY c.id
"""

# `wanted` is the version of internal.deployment, `serving` that of the describe answer.
_CAMPAIGNS = f"""
SELECT c.id, c.arn, c.name, c.status, c.group_id, users.id,
       c.internal #>> '{{deployment,id}}', c.doc #>> '{{latestCampaignUpdate,status}}',
       wanted.id, wanted.parent_id, wanted.arn, wanted.internal ->> 'event_cutoff',
       wanted.internal #>> '{{record_cutoffs,USERS}}', wanted.internal ->> 'edition', c.internal #>> '{{deployment,config}}',
       serving.id, serving.parent_id, serving.arn, serving.internal ->> 'event_cutoff',
       serving.internal #>> '{{record_cutoffs,USERS}}', serving.internal ->> 'edition', c.doc ->> 'campaignConfig'
FROM openpersonalize.resources c {_USERS}
LEFT JOIN openpersonalize.resources wanted
       ON wanted.id = c.internal #>> '{{deployment,solution_version_id}}' AND wanted.kind = 'SolutionVersion'
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
        return not (self.update_failed and self.wanted != self.serving)


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
        wanted=_deployed(*row[8:15]),
        serving=_deployed(*row[15:22]),
    )


def _deployed(
    id: str | None,
    solution_id: str,
    arn: str,
    event_cutoff: str | None,
    record_cutoff: str | None,
    edition: str | None,
    config: str | None,
) -> Deployed | None:
    if id is None:
        return None
    version = Version(id, solution_id, arn, int(event_cutoff or 0), int(record_cutoff or 0), int(edition or 0))
    return Deployed(version, config or "{}")
