"""A batch segment job: for every line of its files the users who most likely want that. The task of DAG `batch_segment`.

A line names an item or attributes of items; its segment are the users in the order of the probability that what they take
next is that item, or one with those attributes (affinity.py). All lines are asked of one user after the other, so that a
user's model runs once however many lines there are, and what comes out, a number a user and line, is written as the
answers of batch inference are: chunk by chunk behind a mark, so that a job that is killed goes on where it was. The
segments are then read off these numbers. Filters look at users, not at the model, and cost no more for many lines.

Of users it knows what the version's training did (spec: datasets.md section 12): who came later is in no segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.aws.errors import InvalidInput
from pipelines.batch import lines, streamed
from pipelines.batch.affinity import Questions
from pipelines.batch.answering import numbered
from pipelines.batch.attributes import items_with
from pipelines.batch.errors import BatchRefused
from pipelines.batch.files import CHUNK_LINES, answer_files
from pipelines.batch.inputs import Input, bring
from pipelines.batch.job import Counted, Job, artefact_of, deliver, run
from pipelines.batch.processes import started
from pipelines.batch.user_filter import UserFilter
from pipelines.disk import require_disk
from pipelines.filters.values import read_values
from pipelines.registry.database import transaction
from pipelines.serving.artefact import Artefact
from pipelines.serving.columns import Mask
from pipelines.serving.ordering import only, top
from pipelines.settings import Settings

MOST_LINES = {"itemId": 500, "itemAttributes": 10}
"""AWS's, of a file (spec: resources.md section 6)."""
ASKED_BY = {"aws-item-affinity": ("itemId",), "aws-item-attribute-affinity": ("itemAttributes",)}
"""What lines may ask versions of AWS's recipes by; those of other recipes both."""
Allowed = Callable[[Mapping[str, str]], Mask | None]
"""From a line's filterValues to the users who may be in its segment; None: all. Raises InvalidInput."""


@dataclass
class _Line:
    text: bytes
    given: dict[str, Any]
    asked: NDArray[np.int64] | None = None
    """Codes of the items that it is about."""
    allowed: Mask | None = None
    error: str = ""


def segment(settings: Settings, job_id: str) -> None:
    """Find every line's users, put the files there, then set the job ACTIVE; nothing to do when it has ended.

    Raises one of job.REFUSED after the job was set to CREATE FAILED, and anything else for a retry.
    """
    run(settings, job_id, _segment)


def _segment(settings: Settings, job: Job) -> Counted:
    target = job.target(settings)
    inputs = bring(settings, job.source, job.work / "input")
    folder = artefact_of(settings, job)
    artefact = Artefact.open(folder)
    if not artefact.is_personal:
        raise BatchRefused("solutionVersionArn: what the version answers does not depend on the user.")
    allowed = _filter(settings, job, artefact)
    members = ASKED_BY.get(artefact.manifest["recipe"], tuple(MOST_LINES))
    read = {one.output: list(_read(one, artefact, members, allowed)) for one in inputs}
    asked = [line for of_file in read.values() for line in of_file if line.asked is not None]
    affinities = iter(_affinities(settings, job, folder, len(artefact.users), [line.asked for line in asked]))
    output = job.work / "output"
    output.mkdir(exist_ok=True)
    for name, of_file in read.items():
        with (output / name).open("wb") as file:
            for line in of_file:
                file.write(_answer(job, artefact, line, affinities))
    deliver(job, target, [output / name for name in read])
    every = [line for of_file in read.values() for line in of_file]
    return Counted(len(every), len(every) - len(asked))


# Lines --------------------------------------------------------------------------------------------------


def _read(one: Input, artefact: Artefact, members: Sequence[str], allowed: Allowed) -> Iterator[_Line]:
    """The lines that are not empty; raises BatchRefused when there are too many."""
    if one.lines > 2 * sum(MOST_LINES.values()):  # empty ones do not count, but nobody has so many
        raise BatchRefused(_too_many(one, members))
    counts = dict.fromkeys(members, 0)
    for _, text in numbered(1, Path(one.path).read_bytes()):
        line = _Line(text, {})
        try:
            line.given = lines.parse(text)
            member = _member(line.given, members)
            counts[member] += 1
            line.asked = _items(member, line.given[member], artefact)
            line.allowed = allowed(lines.filter_values(line.given))
        except (lines.BadLine, InvalidInput) as error:
            line.asked, line.error = None, str(error)
        if any(counts[member] > MOST_LINES[member] for member in members):
            raise BatchRefused(_too_many(one, members))
        yield line


def _too_many(one: Input, members: Sequence[str]) -> str:
    most = " and ".join(f"{MOST_LINES[member]} with {member}" for member in members)
    return f"{one.name} has {one.lines:,} lines; a file has at most {most}. Split it."


def _member(given: Mapping[str, Any], members: Sequence[str]) -> str:
    """What a line asks by; raises BadLine."""
    there = [member for member in members if given.get(member) is not None]
    if len(there) != 1:
        raise lines.BadLine(f"The line must have {' or '.join(members)}{', and not both' if there else ''}.")
    return there[0]


def _items(member: str, value: Any, artefact: Artefact) -> NDArray[np.int64]:
    """Raises BadLine, InvalidInput."""
    if member == "itemId":
        code = artefact.items.code(lines.check_id(member, value))
        if code is None:
            raise lines.BadLine("itemId: the version was trained without this item.")
        return np.array([code], np.int64)
    if not isinstance(value, str):
        raise lines.BadLine(f"{member} must be a string.")
    if artefact.filter_data is None:
        raise lines.BadLine(f"{member}: the solution version is of before there were attributes; train anew.")
    return items_with(value, artefact.filter_data.items)


def _filter(settings: Settings, job: Job, artefact: Artefact) -> Allowed:
    """Raises BatchRefused when the version's users cannot be filtered so."""
    filter = job.checked_filter()
    if filter is None:
        return _unfiltered
    events, users = job.streams().windows(artefact.cutoffs)
    with transaction(settings) as conn:
        types = streamed.types_of_all(conn, events)
        records = streamed.records_of_all(conn, users) if users is not None else {}
    try:
        on_users = UserFilter(artefact, filter, job.now, types, records)
    except InvalidInput as error:
        raise BatchRefused(str(error)) from None
    known: dict[str, Mask] = {}

    def allowed(values: Mapping[str, str]) -> Mask:
        key = repr(sorted(values.items()))
        if key not in known:
            known[key] = on_users.allowed(read_values(filter, values))
        return known[key]

    return allowed


def _unfiltered(values: Mapping[str, str]) -> None:
    if values:
        raise InvalidInput("filterValues is given, but the job has no filterArn.")


# Answers ------------------------------------------------------------------------------------------------


def _affinities(
    settings: Settings, job: Job, artefact: Path, users: int, asked: Sequence[NDArray[np.int64] | None]
) -> Iterator[NDArray[np.float32]]:
    """For each question (users,) how likely each user is to take one of its items."""
    questions = [items for items in asked if items is not None]
    if not questions or not users:
        yield from (np.zeros(0, np.float32) for _ in questions)
        return
    listing, folder = job.work / "users", job.work / "affinities"
    require_disk(job.work, 4 * users * len(questions))
    listing.write_text("".join(f"{code}\n" for code in range(users)))
    saved = job.work / "questions.npz"
    Questions.of(questions).save(saved)
    most = -(-users // CHUNK_LINES)
    with started(settings, "pipelines.batch.affinity", str(saved), str(artefact), most=most) as processes:
        answer_files([Input("users", str(listing), users)], folder, processes, "users asked")
    table = np.memmap(folder / "users.out", np.float32, "r", shape=(users, len(questions)))
    for number in range(len(questions)):
        yield np.ascontiguousarray(table[:, number])


def _answer(job: Job, artefact: Artefact, line: _Line, affinities: Iterator[NDArray[np.float32]]) -> bytes:
    if line.asked is None:
        return lines.failure(line.text, line.error)
    affinity = next(affinities)
    if line.allowed is not None:
        affinity = only(line.allowed, affinity)
    return lines.segment(line.given, artefact.users.ids(top(affinity, job.num_results).tolist()))
