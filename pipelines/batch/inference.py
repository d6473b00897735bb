"""A batch inference job: items for every line of its files. The task of DAG `batch_inference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from pipelines.aws.errors import InvalidInput
from pipelines.batch.answering import Task
from pipelines.batch.errors import BatchRefused
from pipelines.batch.files import CHUNK_LINES, answer_files
from pipelines.batch.inputs import Input, bring
from pipelines.batch.items import items_of, known_items
from pipelines.batch.job import Counted, Job, artefact_of, deliver, run
from pipelines.batch.processes import started
from pipelines.disk import require_disk
from pipelines.filters.tree import Filter
from pipelines.registry.store import Resource
from pipelines.serving.artefact import Artefact
from pipelines.serving.filtering import Filtering
from pipelines.settings import Settings

ITEM_BYTES = 32
"""For the disk check: of one recommended item with its score, in the output."""


def infer(settings: Settings, job_id: str) -> None:
    """Answer every line, put the files there, then set the job ACTIVE; nothing to do when it has ended.

    Raises one of job.REFUSED after the job was set to CREATE FAILED, and anything else for a retry.
    """
    run(settings, job_id, _infer)


def _infer(settings: Settings, job: Job) -> Counted:
    target = job.target(settings)
    inputs = bring(settings, job.source, job.work / "input")
    artefact = artefact_of(settings, job)
    items = items_of(settings, job) if job.filter is not None else ""
    _check_filter(job.checked_filter(), artefact, items)
    lines, output = sum(one.lines for one in inputs), job.work / "output"
    require_disk(job.work, _bytes_of_answers(job, inputs))
    task = orjson.dumps(asdict(_task(job, items))).decode()
    most = -(-lines // CHUNK_LINES)
    with started(settings, "pipelines.batch.answering", task, str(artefact), most=most) as processes:
        mark = answer_files(inputs, output, processes, "lines answered")
    deliver(job, target, [output / one.output for one in inputs])
    return Counted(mark.lines, mark.failed)


def _task(job: Job, items: str) -> Task:
    return Task(
        **asdict(job.streams()),
        seed=_seed(job.resource),
        now=job.now,
        num_results=job.num_results,
        exploration=job.resource.doc.get("batchInferenceJobConfig", {}).get("itemExplorationConfig", {}),
        filter=(job.filter.doc["filterExpression"], job.columns) if job.filter is not None else None,
        items=items,
    )


def _seed(resource: Resource) -> str:
    """With file and line what chance the exploration takes: another job explores other items."""
    return resource.id


def _check_filter(filter: Filter | None, folder: Path, items: str) -> None:
    if filter is not None:
        artefact = Artefact.open(folder)
        try:
            Filtering(artefact, filter, known_items(artefact, items))
        except InvalidInput as error:
            raise BatchRefused(str(error)) from None


def _bytes_of_answers(job: Job, inputs: Sequence[Input]) -> int:
    asked = sum(Path(one.path).stat().st_size for one in inputs)
    return asked + sum(one.lines for one in inputs) * job.num_results * ITEM_BYTES
