"""The tables of schema `openpersonalize`, as SQLAlchemy Core.

One table for resources of every kind, with the members that AWS describes in a JSON document, rather than a
table a kind: 17 kinds share naming, states, parents, listing and deletion, which are columns here and written
once; what differs between kinds is only carried through, and its shape is already written down in botocore's
service model, by which every request and answer is checked. A table a kind would say the same 17 times and
need a migration whenever AWS adds a member.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL

SCHEMA = "openpersonalize"
metadata = MetaData(schema=SCHEMA)

resources = Table(
    "resources",
    metadata,
    # 16 hex digits, never reused: branches, tags, Bentos, DAG runs and folders are named by it, because an ARN
    # can be deleted and created again.
    Column("id", Text, primary_key=True),
    # AWS's shape name: DatasetGroup, Schema, Dataset, DatasetImportJob, Solution, SolutionVersion, Campaign, …
    Column("kind", Text, nullable=False),
    Column("arn", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # The dataset group it belongs to, null for groups and schemas.
    Column("group_id", Text, ForeignKey("resources.id")),
    # What it hangs on inside the group: import job -> dataset, version -> solution, campaign -> solution.
    Column("parent_id", Text, ForeignKey("resources.id")),
    # A dataset's schema: it blocks the schema's deletion.
    Column("schema_id", Text, ForeignKey("resources.id")),
    Column("status", Text),
    Column("failure_reason", Text),
    # Members of the describe answer, as AWS names them, less the columns of this table.
    Column("doc", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # What AWS's clients do not see: snapshot, artefact, metrics beyond AWS's, deployment (see registry.store).
    Column("internal", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # x-amzn-RequestId of the call that made it; it runs through DAG run and task log.
    Column("request_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
# In the order of the lists, of all or narrowed, so that a page reads the rows that it shows and no others.
_NEWEST_FIRST = (resources.c.kind, resources.c.created_at.desc(), resources.c.id.desc())
Index("resources_kind_created", *_NEWEST_FIRST)
Index("resources_group", resources.c.group_id, *_NEWEST_FIRST)
Index("resources_parent", resources.c.parent_id, *_NEWEST_FIRST)
Index("resources_schema", resources.c.schema_id)
Index("resources_status", resources.c.status, resources.c.kind)

tags = Table(
    "tags",
    metadata,
    Column("resource_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# The wish for a DAG run, written in the transaction that writes the resource. The reconciler starts what has no
# `started_at`; `run_id` is derived from the resource, so starting twice is starting once.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("resource_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False, unique=True),
    Column("conf", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("started_at", DateTime(timezone=True)),
    # Set once the resource has reached a final state, so that the reconciler stops looking.
    Column("settled_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
)
Index("outbox_open", outbox.c.id, postgresql_where=outbox.c.settled_at.is_(None))

# Streamed interactions. Committed before PutEvents answers; `id` is the order of arrival, by which a training
# records its cut-off.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    # Not a foreign key: the hot path of PutEvents pays no lock on the group; deleting the group deletes its events.
    Column("group_id", Text, nullable=False),
    # coalesce(user_id, session_id): whose history the event joins at run time.
    Column("user_key", Text, nullable=False),
    Column("user_id", Text),
    Column("session_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_value", Double),
    Column("item_id", Text),
    # Epoch seconds; becomes TIMESTAMP.
    Column("sent_at", Double, nullable=False),
    Column("properties", JSONB),
    Column("recommendation_id", Text),
    Column("impression", ARRAY(Text)),
    Column("attribution_source", Text),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # The list that recommendation_id names, of events without `impression`; empty when there is no such list. Added
    # afterwards (datasets/impressions.py), so that `impression` stays what was sent.
    Column("implicit_impression", ARRAY(Text)),
    # ARN of the campaign whose answer recommendation_id names, empty when there is no such answer: added with the list, and
    # there when campaign and answer are gone.
    Column("served_by", Text),
    UniqueConstraint("group_id", "event_id", name="events_event_id"),
)
Index(
    "events_history",
    events.c.group_id,
    events.c.user_key,
    events.c.sent_at.desc(),
    events.c.id.desc(),
    postgresql_include=["item_id", "event_type"],
)
Index("events_cutoff", events.c.group_id, events.c.id)
Index(
    "events_unresolved",
    events.c.id,
    postgresql_where=events.c.recommendation_id.is_not(None) & events.c.served_by.is_(None),
)

# Streamed items, users and actions: every record that came, the newest of an id counts. `id` is the order of arrival,
# by which a training records its cut-off and an import which records it is newer than.
records = Table(
    "records",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("dataset_id", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    # Keys in lowerCamelCase, as sent.
    Column("properties", JSONB),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("records_newest", records.c.dataset_id, records.c.record_id, records.c.id.desc())
Index("records_cutoff", records.c.dataset_id, records.c.id)

# Streamed action interactions; as `events`, but of the dataset whose trackingId they were sent to.
action_events = Table(
    "action_events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("dataset_id", Text, nullable=False),
    Column("user_key", Text, nullable=False),
    Column("user_id", Text),
    Column("session_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    # TAKEN, NOT_TAKEN or VIEWED.
    Column("event_type", Text, nullable=False),
    Column("action_id", Text, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("properties", JSONB),
    Column("recommendation_id", Text),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("dataset_id", "event_id", name="action_events_event_id"),
)
Index("action_events_cutoff", action_events.c.dataset_id, action_events.c.id)
Index("action_events_user", action_events.c.dataset_id, action_events.c.user_key)

# What was answered under which recommendationId: implicit impressions, tracing, A/B. Range-partitioned by hour;
# kept 24 hours by dropping partitions. Written behind the answer: losing the last second in a crash is allowed.
served = Table(
    "served",
    metadata,
    Column("recommendation_id", Text, primary_key=True),
    Column("served_at", DateTime(timezone=True), primary_key=True),
    Column("campaign_id", Text, nullable=False),
    Column("solution_version_id", Text, nullable=False),
    Column("user_id", Text),
    Column("items", ARRAY(Text), nullable=False),
    Column("request_id", Text),
    # The campaign's explorationWeight; null when it does not explore.
    Column("exploration_weight", Double),
    # Of each item: how likely the list has it, and at which weights it would (bit k: exploration.levels(weight)[k]). Both
    # are null when every item is in the list whatever the weight.
    Column("propensities", ARRAY(REAL)),
    Column("shown_at", ARRAY(SmallInteger)),
    postgresql_partition_by="RANGE (served_at)",
)

# Living processes of the runtime; a row whose heartbeat is older than 5 seconds counts as dead.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("heartbeat_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# What each worker serves. A campaign is ACTIVE on a deployment when every living worker has reported its id.
deployments = Table(
    "deployments",
    metadata,
    Column("campaign_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    Column("worker_id", Text, ForeignKey("workers.id", ondelete="CASCADE"), primary_key=True),
    Column("deployment_id", Text, nullable=False),
    Column("error", Text),
    Column("reported_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# A/B experiments of campaigns (pipelines/control/experiments.py); at most one of a campaign has not ended.
experiments = Table(
    "experiments",
    metadata,
    Column("id", Text, primary_key=True),  # 16 hex digits; users are dealt by it
    Column("campaign_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), nullable=False),
    Column("control_arn", Text, nullable=False),  # no reference, as what was found outlives the version
    Column("challenger_arn", Text, nullable=False),
    Column("share", SmallInteger, nullable=False),  # per cent of the users that get the challenger
    Column("event_cutoff", BigInteger, nullable=False),  # the last streamed event that came before it
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),  # from then on users are split; null: workers load the challenger
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text),  # how it ended: stopped, promoted or failed
    Column("failure_reason", Text),
)
Index("experiments_open", experiments.c.campaign_id, unique=True, postgresql_where=experiments.c.ended_at.is_(None))

# Who has been answered by which arm, A or B; written behind the answers like `served`, and kept with the experiment.
exposures = Table(
    "exposures",
    metadata,
    Column("experiment_id", Text, ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("user_key", Text, primary_key=True),  # `userId` of the requests: of a user or an anonymous session
    Column("arm", Text, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("answers", BigInteger, nullable=False),
)

# Of metric attributions what INCREMENTAL imports brought (pipelines/datasets/attribution.py); streamed events are summed from
# their own table.
attribution_sums = Table(
    "attribution_sums",
    metadata,
    Column("attribution_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    Column("import_job_id", Text, ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    # A metricName of the attribution; goes with the metric.
    Column("metric", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    # Epoch seconds.
    Column("window_start", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Column("events", BigInteger, nullable=False),
)

# Keys that `openpersonalize keys add` made; a revoked one has no row. The secret is in no table (pipelines/aws/access.py).
access_keys = Table(
    "access_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # A value of pipelines.aws.access.Role; never changed, because the secret depends on it.
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # To a minute.
    Column("last_used_at", DateTime(timezone=True)),
)

# Who changed what, and who was not let: see pipelines/registry/audit.py.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False),
    # x-amzn-RequestId, null for commands.
    Column("request_id", Text),
    # Null for commands and for runs that a person started in Airflow; key_name then says who.
    Column("key_id", Text),
    Column("key_name", Text, nullable=False),
    Column("role", Text),
    Column("operation", Text, nullable=False),
    # An ARN where it is known, else the name that was asked for.
    Column("resource", Text),
    # `ok`, or the code of the error that was answered.
    Column("outcome", Text, nullable=False),
    Column("source", Text),
    # Alike calls to the runtime share a row a minute.
    Column("calls", Integer, nullable=False, server_default=text("1")),
)
Index("audit_at", audit.c.at)
