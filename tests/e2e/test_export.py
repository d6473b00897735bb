"""What was streamed comes out again as a file, on all real processes, through boto3."""

from __future__ import annotations

import pytest

from pipelines.platform.clients import Clients
from pipelines.settings import Settings
from tests.support.life import ROLE, Life

pytestmark = pytest.mark.e2e


def export(life: Life, kind: str, job: str, path: str) -> str:
    """The ARN of an export job of everything in a dataset."""
    arn: str = life.clients.personalize.create_dataset_export_job(
        jobName=job,
        datasetArn=life.dataset(kind),
        ingestionMode="ALL",
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": path}},
    )["datasetExportJobArn"]
    return arn


def test_what_was_put_is_exported_and_a_refusal_says_why(platform: Settings) -> None:
    life = Life(Clients.of(platform), "exports")
    life.group()
    folder = platform.home / "data" / "exports"
    folder.mkdir(parents=True)
    life.clients.events.put_items(
        datasetArn=life.dataset("ITEMS"), items=[{"itemId": "i1", "properties": '{"genres": "Drama|Comedy"}'}]
    )
    life.clients.events.put_items(datasetArn=life.dataset("ITEMS"), items=[{"itemId": "i1"}, {"itemId": "i2"}])
    life.send(life.tracker(), "u1", "i1")
    jobs = [export(life, kind, f"exports-{kind.lower()}", folder.as_uri()) for kind in ("ITEMS", "INTERACTIONS")]
    folder.with_name("file").write_text("mine")
    # Between the request and the work the place was taken by something else.
    refused = export(life, "USERS", "exports-refused", (folder.parent / "file" / "below").as_uri())
    for job in jobs:
        life.active("DatasetExportJob", job)
    assert (folder / "exports-items-00001.csv").read_text() == 'ITEM_ID,GENRES\n"i1",\n"i2",\n'
    header, line = (folder / "exports-interactions-00001.csv").read_text().splitlines()
    assert header == "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP" and line.startswith('"u1","i1",')
    failed = life.final("DatasetExportJob", refused)
    assert failed["status"] == "CREATE FAILED" and "may not write into" in failed["failureReason"]
