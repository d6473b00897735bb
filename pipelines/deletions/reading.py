"""Whom to delete: the CSV files of the job, read strictly, into one private file.

A list that is misread deletes the wrong people or leaves some, so anything unexpected ends the job before it has
begun. No message quotes a value: it would end up in logs.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from itertools import chain

from pipelines.datasets import source
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.schema import USER_ID
from pipelines.datasets.source import SourceFile
from pipelines.deletions.errors import DeletionRefused
from pipelines.deletions.job import Job
from pipelines.registry import store
from pipelines.registry.database import transaction

MAX_BYTES = 100 * 1000**2
MAX_ID = 256
LIST = "list"
"""Member of a job's `internal`: {salt, sha256} of the list that it was begun with."""
AGAIN = "Nothing was deleted; mend it and create a new data deletion job"


def read(job: Job) -> int:
    """Write the job's users_file; how many users it names. Nothing to do when an earlier attempt got that far.

    Raises DeletionRefused for what the files are to blame for, SourceUnreachable when S3 should be asked again.
    """
    if job.users_file.is_file():
        return len(job.users())
    shutil.rmtree(job.work, ignore_errors=True)
    job.work.mkdir(parents=True, mode=0o700)
    try:
        files = source.fetch(job.settings, job.location, job.work / "source")
    except ImportRefused as error:
        raise DeletionRefused(f"{error}. {AGAIN}.") from error
    size = sum(file.size for file in files)
    if size > MAX_BYTES:
        raise DeletionRefused(
            f"The files at {job.location} have {size:,} bytes together, more than {MAX_BYTES:,}. {AGAIN}, or several "
            f"with a part each."
        )
    users = list(dict.fromkeys(chain.from_iterable(map(_users_of, files))))
    if not users:
        raise DeletionRefused(f"No file at {job.location} holds a user id below its header. {AGAIN}.")
    _refuse_another_list(job, users)
    _write(job, users)
    shutil.rmtree(job.work / "source")
    return len(users)


def _refuse_another_list(job: Job, users: list[str]) -> None:
    """Of the list that was read first a salted digest is kept, so that a task on another machine, which reads it again,
    deletes the same people or nobody.
    """
    with transaction(job.settings) as conn:
        row = store.get(conn, id=job.id, lock=True)
        assert row is not None, "a job in progress is not deleted"
        kept = row.internal.get(LIST)
        salt = kept["salt"] if kept else secrets.token_hex(16)
        digest = hashlib.sha256("\n".join([salt, *users]).encode("utf-8", "surrogatepass")).hexdigest()
        if kept is None:
            store.update(conn, job.id, internal={LIST: {"salt": salt, "sha256": digest}}, touch=False)
        elif kept["sha256"] != digest:
            raise DeletionRefused(
                f"The list at {job.location} is not what it was when this job began. What was deleted stays deleted; "
                "create a new data deletion job."
            )


def _users_of(file: SourceFile) -> Iterator[str]:
    number = 1
    try:
        with file.path.open(encoding="utf-8-sig", newline="", errors="strict") as stream:
            rows = csv.reader(stream, strict=True)
            header = next(rows, [])
            if [name.strip().upper() for name in header] != [USER_ID]:
                raise DeletionRefused(f"{file.name} line 1: the header must be the single column {USER_ID}. {AGAIN}.")
            for row in rows:
                number = rows.line_num
                if row:
                    yield _user(file, number, row)
    except (csv.Error, UnicodeDecodeError) as error:
        said = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"can't be read as CSV ({error})"
        raise DeletionRefused(f"{file.name}, after line {number}: {said}. {AGAIN}.") from None


def _user(file: SourceFile, number: int, row: list[str]) -> str:
    if len(row) != 1:
        raise DeletionRefused(f"{file.name} line {number}: {len(row)} values instead of one. {AGAIN}.")
    if not row[0] or "\0" in row[0]:
        raise DeletionRefused(f"{file.name} line {number}: the user id is empty or holds a zero byte. {AGAIN}.")
    if len(row[0]) > MAX_ID:
        raise DeletionRefused(
            f"{file.name} line {number}: the user id has {len(row[0])} characters, more than {MAX_ID}. {AGAIN}."
        )
    return row[0]


def _write(job: Job, users: list[str]) -> None:
    part = job.users_file.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(users, file)
    part.replace(job.users_file)
