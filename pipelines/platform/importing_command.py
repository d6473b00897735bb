"""`openpersonalize import`: a file that nobody has described becomes a dataset, checked before anything is created.

Look (guess the schema, or take the dataset's or the given one), show, read the whole file by it and judge it in a
scratch folder; only then create what is missing, through boto3 as any client would, and wait for the import job.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from rich.console import Console

from pipelines.aws.errors import AwsError
from pipelines.control import avro
from pipelines.datasets import building, converting, guessing, sampling, source
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.guessing import Guess
from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import ID_COLUMNS, DatasetType, SchemaError, read_schema
from pipelines.datasets.source import SourceFile
from pipelines.platform import importing_views as views
from pipelines.platform.clients import Clients
from pipelines.platform.following import follow
from pipelines.platform.report_command import lines as report_lines
from pipelines.registry import paging, store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROLE = "arn:aws:iam::000000000000:role/not-assumed"
"""AWS's model wants one, and nobody takes it on here."""


MODES = ("FULL", "INCREMENTAL")
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")


class ImportFailed(Exception):
    """Nothing was imported; the message says why."""


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    location: str
    """A path on this machine, or s3://bucket/…"""
    group: str
    dataset_type: DatasetType | None
    mode: str
    schema: Path | None
    job: str


@dataclass(frozen=True)
class There:
    """What the registry has already: the group, its dataset of the type, that dataset's schema."""

    group: Resource | None
    dataset: Resource | None
    schema: Resource | None


def request(
    location: str,
    now: datetime,
    *,
    group: str | None,
    dataset_type: str | None,
    mode: str,
    schema: Path | None,
    job: str | None,
) -> Request:
    """From what was typed; raises ImportFailed for words that mean nothing here."""
    kind = dataset_type.upper() if dataset_type is not None else None
    if kind is not None and kind not in ID_COLUMNS:
        raise ImportFailed(f"--type {dataset_type}: there are {', '.join(ID_COLUMNS)}")
    if mode.upper() not in MODES:
        raise ImportFailed(f"--mode {mode}: there are {', '.join(MODES)}")
    group = group or _name_of(location)
    job = job or f"{group[:40]}-{now:%Y%m%d-%H%M%S}"
    for option, name in (("--group", group), ("--name", job)):
        if not NAME.fullmatch(name):
            raise ImportFailed(f"{option} {name}: at most 63 letters, digits, - and _, with a letter or digit first")
    return Request(location, group, cast(DatasetType | None, kind), mode.upper(), schema, job)


def _name_of(location: str) -> str:
    """A group's name from a file's: `s3://b/My ratings.csv.gz` -> My-ratings."""
    stem = location.rstrip("/").rpartition("/")[2].partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:40] or "imported"


def run(settings: Settings, console: Console, wanted: Request, now: datetime, confirm: Callable[[str], bool]) -> None:
    """Import, and show what came of it; raises ImportFailed when nothing did."""
    try:
        job = _import(settings, console, wanted, now, confirm)
    except (ImportRefused, AwsError, SchemaError, OSError) as error:
        raise ImportFailed(f"{error}. Nothing was created.".replace("..", ".")) from error
    except ClientError as error:
        raise ImportFailed(str(error)) from error
    console.print("\n".join(["", *report_lines(settings, job.arn)]), markup=False, soft_wrap=True)
    if job.status != store.ACTIVE:
        raise ImportFailed(job.failure_reason or f"the import ended as {job.status}")


def _import(
    settings: Settings, console: Console, wanted: Request, now: datetime, confirm: Callable[[str], bool]
) -> Resource:
    """The import job, ended."""
    clients = Clients.of(settings)
    with _folder(settings.home / "data" / f"import-{wanted.job}") as folder:
        files = source.fetch(_reaching(settings, wanted.location), _uri(wanted.location), folder / "source")
        connection = open_database(folder / "spill")
        try:
            found, there = _understand(settings, wanted, connection, files)
            views.show_guess(console, found, files)
            if found.changes:
                files = converting.convert(connection, files, found.changes, _made(folder / "copy"))
        finally:
            connection.close()
        rows = _check(console, found, files, folder / "check", now, there)
        plan = _plan(wanted, found, there)
        console.print("\n".join(plan), soft_wrap=True)
        if not confirm("Go on?"):
            raise ImportFailed("Nothing was created.")
        location = _location(settings, wanted, found, files, folder / "files")
        return follow(settings, console, clients, _create(settings, clients, wanted, found, location), rows)


# Looking ------------------------------------------------------------------------------------------------------


def _uri(location: str) -> str:
    if location.startswith("s3://"):
        return location
    path = Path(location).expanduser().absolute()
    if not path.exists():
        raise ImportRefused(f"There is no file or folder {path}")
    return path.as_uri()


def _reaching(settings: Settings, location: str) -> Settings:
    """The person at this keyboard may read what the import roots keep from clients."""
    real = Path(os.path.realpath(Path(location).expanduser()))
    return replace(settings, import_roots=(*settings.import_roots, real if real.is_dir() else real.parent))


def _understand(
    settings: Settings, wanted: Request, connection: DuckDBPyConnection, files: Sequence[SourceFile]
) -> tuple[Guess, There]:
    """What the table is: by the dataset's schema when there is one, by the given one, else by a guess."""
    header = sampling.load(connection, files[0])
    given = wanted.schema.read_text(encoding="utf-8") if wanted.schema else None
    kind = wanted.dataset_type
    if given is not None:
        avro.check(given, None)
        kind = kind or cast(DatasetType, avro.dataset_type(given))
    if kind is None:
        kind = guessing.dataset_type_of(files[0], header)
    there = _there(settings, wanted, kind)
    settled = there.schema.doc["schema"] if there.schema is not None else given
    if settled is not None:
        return guessing.by_schema(connection, header, json.loads(settled), kind), there
    found = guessing.guess(connection, files[0], header, kind)
    avro.check(json.dumps(found.avro), there.group.doc.get("domain") if there.group else None)
    return found, there


def _there(settings: Settings, wanted: Request, kind: DatasetType) -> There:
    with transaction(settings) as conn:
        groups = paging.page(conn, "DatasetGroup").resources
        group = next((one for one in groups if one.name == wanted.group), None)
        if group is None:
            return There(None, None, None)
        datasets = store.in_group(conn, group.id, "Dataset")
        dataset = next((one for one in datasets if one.doc["datasetType"] == kind), None)
        schema = store.get(conn, id=dataset.schema_id) if dataset is not None and dataset.schema_id else None
        return There(group, dataset, schema)


def _check(
    console: Console, found: Guess, files: Sequence[SourceFile], folder: Path, now: datetime, there: There
) -> int:
    """Read everything and judge it, as the import will; the rows. Raises ImportFailed with the reason."""
    schema = read_schema(found.avro, found.dataset_type)
    place = building.Place(_made(folder / "work"), folder / "snapshot", folder / "rejects.parquet")
    size = sum(file.size for file in files)
    with console.status(f"reading and checking {size / 1e6:,.1f} MB"):
        profile = building.build(files, schema, place, name="check", title="check", as_of=now.timestamp())
        overrides: Mapping[str, Any] = there.group.internal.get("checks", {}) if there.group else {}
        verdict = building.check(profile, schema, folder / "report.html", place.rejects, overrides)
    views.show_verdict(console, profile, verdict)
    if not verdict.passed:
        raise ImportFailed(f"Nothing was created: {building.reason(profile, verdict)}")
    return int(profile.row["records"] or 0)


# Doing --------------------------------------------------------------------------------------------------------


def _plan(wanted: Request, found: Guess, there: There) -> list[str]:
    """What will be done, a line each."""
    kind = found.dataset_type
    lines = [] if there.group else [f"create dataset group {wanted.group}"]
    lines += [] if there.dataset else [f"create schema {_schema_name(wanted, found)} and dataset {wanted.group}/{kind}"]
    rows = there.dataset.internal.get("snapshot", {}).get("rows", 0) if there.dataset else 0
    if rows and wanted.mode == "FULL":
        lines.append(f"import, in place of the {rows:,} rows that are there")
    else:
        lines.append(f"import, beside the {rows:,} rows that are there" if rows else "import")
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)]


def _schema_name(wanted: Request, found: Guess) -> str:
    """By its content, so that an equal one is the same."""
    digest = hashlib.sha256(json.dumps(found.avro, sort_keys=True).encode()).hexdigest()[:8]
    return f"{wanted.group[:30]}-{found.dataset_type.lower().replace('_', '-')}-{digest}"


def _location(settings: Settings, wanted: Request, found: Guess, files: Sequence[SourceFile], folder: Path) -> str:
    """Where the import job finds the data: at its place, or beside the platform's own, linked or copied."""
    if not found.changes:
        if wanted.location.startswith("s3://"):
            return wanted.location
        real = Path(os.path.realpath(Path(wanted.location).expanduser()))
        if any(real.is_relative_to(root.resolve()) for root in settings.import_roots):
            return real.as_uri()
    folder.mkdir()
    for number, file in enumerate(files):
        target = folder / f"{number:05d}-{Path(file.name).name}"
        real = file.path.resolve()
        try:
            os.link(real, target)
        except OSError:
            shutil.copyfile(real, target)
    return f"{folder.as_uri()}/"


def _create(settings: Settings, clients: Clients, wanted: Request, found: Guess, location: str) -> str:
    """The ARN of the import job; makes group, schema and dataset if they are not there."""
    personalize = clients.personalize
    group, dataset = clients.arn("dataset-group", wanted.group), f"{wanted.group}/{found.dataset_type}"
    schema = clients.arn("schema", _schema_name(wanted, found))
    there = _there(settings, wanted, found.dataset_type)
    if there.group is None:
        personalize.create_dataset_group(name=wanted.group)
    if there.dataset is None:
        domain = {"domain": there.group.doc["domain"]} if there.group and "domain" in there.group.doc else {}
        with transaction(settings) as conn:
            known = store.get(conn, arn=schema)
        if known is None:
            personalize.create_schema(name=_schema_name(wanted, found), schema=json.dumps(found.avro), **domain)
        personalize.create_dataset(
            name=f"{wanted.group}-{found.dataset_type.lower()}"[:63],
            datasetType=found.dataset_type,
            datasetGroupArn=group,
            schemaArn=schema,
        )
    made: str = personalize.create_dataset_import_job(
        jobName=wanted.job,
        datasetArn=clients.arn("dataset", dataset),
        dataSource={"dataLocation": location},
        roleArn=ROLE,
        importMode=wanted.mode,
    )["datasetImportJobArn"]
    return made


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A scratch folder below the import roots, gone afterwards."""
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
