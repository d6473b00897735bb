"""Amazon Resource Names: how each kind's is built and taken apart (spec/resources.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass

PREFIXES = {
    "DatasetGroup": "dataset-group",
    "Schema": "schema",
    "Dataset": "dataset",
    "DatasetImportJob": "dataset-import-job",
    "DatasetExportJob": "dataset-export-job",
    "DataDeletionJob": "data-deletion-job",
    "EventTracker": "event-tracker",
    "Solution": "solution",
    "SolutionVersion": "solution",
    "Campaign": "campaign",
    "Recommender": "recommender",
    "Filter": "filter",
    "BatchInferenceJob": "batch-inference-job",
    "BatchSegmentJob": "batch-segment-job",
    "MetricAttribution": "metric-attribution",
}
"""Resource kind -> the first word of the ARN's last field."""

LATEST = "$LATEST"
"""`<solution ARN>/$LATEST` stands for the solution's newest ACTIVE version."""


@dataclass(frozen=True)
class Arn:
    """`arn:<partition>:personalize:<region>:<account>:<prefix>/<resource>`, taken apart."""

    partition: str
    region: str
    account_id: str
    prefix: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:personalize:{self.region}:{self.account_id}:{self.prefix}/{self.resource}"


def build(kind: str, region: str, account_id: str, *parts: str) -> str:
    """The ARN of a resource of `kind`; `parts` are joined by `/` (group name and type, solution name and hex)."""
    return str(Arn("aws", region, account_id, PREFIXES[kind], "/".join(parts)))


def parse(arn: str) -> Arn:
    """Take a Personalize ARN apart; raises ValueError when it is none."""
    head, _, tail = arn.partition(":personalize:")
    fields = tail.split(":", 2)
    if not head.startswith("arn:") or len(fields) != 3 or "/" not in fields[2]:
        raise ValueError(f"{arn!r} is not an ARN of Amazon Personalize")
    region, account_id, last = fields
    prefix, _, resource = last.partition("/")
    return Arn(head.removeprefix("arn:"), region, account_id, prefix, resource)


def is_latest(arn: str) -> bool:
    """Whether a campaign's solutionVersionArn is the `<solution ARN>/$LATEST` form."""
    return arn.endswith("/" + LATEST)
