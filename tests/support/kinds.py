"""Every kind of resource that clients make, one row each: what a test needs to know to make, list and delete it.

What botocore's service model says (the ARN's member, the list's key, what narrows it, whether it has tags) is read there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipelines.aws import models
from pipelines.aws.errors import CONTROL
from pipelines.control.operations import OPERATIONS
from tests.support.group import INTERACTIONS, RECIPE, ROLE, USER_PERSONALIZATION, schema_text

SCHEMA = schema_text([*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string"}])
_JOB = {"dataSource": {"dataLocation": "s3://bucket/key"}, "roleArn": ROLE}
_BATCH = {
    "jobInput": {"s3DataSource": {"path": "s3://bucket/in.json"}},
    "jobOutput": {"s3DataDestination": {"path": "s3://bucket/out/"}},
    "roleArn": ROLE,
}
_METRICS = {
    "metrics": [{"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}],
    "metricsOutputConfig": {"roleArn": ROLE, "s3DataDestination": {"path": "s3://bucket/metrics/"}},
}


@dataclass(frozen=True)
class Kind:
    """One kind."""

    name: str
    """As AWS calls its shape."""
    parent: str | None = None
    """The kind whose ARN its create takes."""
    born: str | None = "ACTIVE"
    """Its status when the create has answered."""
    done: str = "ACTIVE"
    """Its status when its work is done."""
    ask: Mapping[str, Any] = field(default_factory=dict)
    """What else a create must say."""
    arn_by_name: bool = True
    """Whether the name is the end of the ARN, and so taken only once."""
    domain: str | None = None
    """Of the group that it needs."""

    @property
    def member(self) -> str:
        """`Solution` -> `solution`."""
        return self.name[0].lower() + self.name[1:]

    @property
    def arn(self) -> str:
        """The member that holds its ARN."""
        return f"{self.member}Arn"

    @property
    def label(self) -> str:
        """The member that holds its name."""
        return "jobName" if self.name.endswith("Job") else "name"

    @property
    def list(self) -> str:
        """Its list operation."""
        return f"List{self.name}s"

    @cached_property
    def key(self) -> str:
        """The member of a list's answer that holds it."""
        output: Any = models.service_model(CONTROL).operation_model(self.list).output_shape
        return str(next(name for name, shape in output.members.items() if shape.type_name == "list"))

    @cached_property
    def within(self) -> str | None:
        """The kind whose ARN narrows its list."""
        asked: Any = models.service_model(CONTROL).operation_model(self.list).input_shape
        found = next((name for name in asked.members if name.endswith("Arn")), None)
        return found[0].upper() + found[1:-3] if found else None

    @property
    def deletable(self) -> bool:
        return f"Delete{self.name}" in models.service_model(CONTROL).operation_names

    @cached_property
    def taggable(self) -> bool:
        """Whether a create takes tags."""
        asked: Any = models.service_model(CONTROL).operation_model(f"Create{self.name}").input_shape
        return "tags" in asked.members

    @property
    def works(self) -> bool:
        """Whether something must be done until it is usable."""
        return self.born is not None and self.born.endswith("PENDING")

    def create(self, name: str, parent: str | None = None, **given: Any) -> dict[str, Any]:
        """The members of a create."""
        hung = {f"{self.parent[0].lower()}{self.parent[1:]}Arn": parent} if self.parent else {}
        return {self.label: name, **hung, **self.ask, **given}


KINDS = {
    kind.name: kind
    for kind in (
        Kind("DatasetGroup"),
        Kind("Schema", born=None, ask={"schema": SCHEMA}),
        Kind("Dataset", "DatasetGroup", ask={"datasetType": "Interactions"}, arn_by_name=False),
        Kind("DatasetImportJob", "Dataset", "CREATE PENDING", ask=_JOB),
        Kind(
            "DatasetExportJob",
            "Dataset",
            "CREATE PENDING",
            ask={"jobOutput": {"s3DataDestination": {"path": "s3://bucket/out/"}}, "roleArn": ROLE},
        ),
        Kind("DataDeletionJob", "DatasetGroup", "PENDING", "COMPLETED", ask=_JOB),
        Kind("EventTracker", "DatasetGroup", arn_by_name=False),
        Kind("Solution", "DatasetGroup", ask={"recipeArn": USER_PERSONALIZATION}),
        Kind("SolutionVersion", "Solution", "CREATE PENDING", arn_by_name=False),
        Kind("Campaign", "SolutionVersion", "CREATE PENDING"),
        Kind(
            "Filter",
            "DatasetGroup",
            ask={"filterExpression": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("buy")'},
        ),
        Kind("MetricAttribution", "DatasetGroup", ask=_METRICS),
        Kind(
            "Recommender",
            "DatasetGroup",
            "CREATE PENDING",
            ask={"recipeArn": RECIPE + "ecomm-popular-items-by-views"},
            domain="ECOMMERCE",
        ),
        Kind("BatchInferenceJob", "SolutionVersion", "CREATE PENDING", ask=_BATCH),
        Kind("BatchSegmentJob", "SolutionVersion", "CREATE PENDING", ask=_BATCH),
    )
    if f"Create{kind.name}" in OPERATIONS
}
"""By name, those whose operations there are."""
