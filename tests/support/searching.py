"""Where an id is found, by somebody who trusts nothing: every file decoded as far as it can be, Git, a database dump.

Written without a line of pipelines/deletions, and itself tested by planting the id in each kind of place.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.platform.cluster import installed_binaries


def files_with(needle: str, root: Path, besides: Iterable[Path] = ()) -> list[str]:
    """Paths of files below `root`, without those below `besides`, that hold `needle` in whatever form."""
    spared = [path.resolve() for path in besides]
    return [
        str(path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not any(path.resolve().is_relative_to(spare) for spare in spared)
        and any(needle.encode() in data for data in _decoded(path.read_bytes()))
    ] + [f"{path} (name)" for path in root.rglob(f"*{needle}*")]


def objects_with(needle: str, root: Path) -> list[str]:
    """Git repositories below `root` of which some object, named by a tag or not, holds `needle`."""
    found = []
    for repository in sorted(root.rglob("*.git")):
        command = ["git", "-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch"]
        everything = subprocess.run(command, cwd=repository, capture_output=True, check=True).stdout
        found += [str(repository)] * (needle.encode() in everything)
    return found


def dumped_with(needle: str, url: str) -> list[str]:
    """Lines of a dump of the whole database, after VACUUM FULL, that hold `needle`; and whether statistics do."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        statistics = connection.execute("SELECT count(*) FROM pg_stats WHERE pg_stats::text LIKE %s", [f"%{needle}%"])
        (quoted,) = statistics.fetchone() or (0,)
    command = [str(installed_binaries() / "pg_dump"), "--inserts", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line[:200] for line in done.stdout.splitlines() if needle in line] + ["statistics"] * quoted


def _decoded(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes themselves (.npy, .onnx, JSON, logs), and what they pack."""
    yield data
    if depth > 3:
        return
    for inner in _unpacked(data):
        yield from _decoded(inner, depth + 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(data))
        for column in table.columns:
            yield "\n".join(map(str, column.cast(pa.string()).to_pylist())).encode()
    elif data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:  # .npz, a model of torch
            yield from (archive.read(name) for name in archive.namelist())
    elif tarfile.is_tarfile(io.BytesIO(data)):
        with tarfile.open(fileobj=io.BytesIO(data)) as members:
            for member in members:
                if (file := members.extractfile(member)) is not None:
                    yield file.read()
