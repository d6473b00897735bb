"""Whether what DVC tracks has one of the users: only their ids are fetched, and what is the same is looked at once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.deletions.job import Job
from pipelines.repository import RepositoryError
from pipelines.serving.ids import read_ids
from pipelines.versions.publishing import ARTEFACT

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

ONLY_A_MANIFEST = 1
"""Files of a snapshot without rows."""
ARTEFACT_USERS = ("user_ids.bin", "user_offsets.npy", "user_index.npy")


class Contents:
    """What has been looked at in one step of a job."""

    def __init__(self, job: Job) -> None:
        import pyarrow as pa

        self._job = job
        self._users = job.users()
        self._array: pa.Array = pa.array(self._users, pa.string())
        self._known: dict[str, bool] = {}
        self.looked_at = 0

    def hold(self, tag: str, path: str) -> bool:
        """Whether `path` at `tag` has one of the users; False when there is no such path."""
        try:
            pointer = self._job.repository.pointer(tag, path)
        except RepositoryError:
            return False
        digest = str(pointer["md5"])
        if digest not in self._known:
            self._known[digest] = self._look(tag, path, int(pointer.get("nfiles", 1)))
            self.looked_at += 1
        return self._known[digest]

    def _look(self, tag: str, path: str, files: int) -> bool:
        place = self._job.scratch("looked-at")
        if path == ARTEFACT:
            self._job.repository.materialise(tag, path, place, only=ARTEFACT_USERS)
            return any(code is not None for code in read_ids(place, "user").codes(self._users))
        is_streamed = path.endswith("/streamed")
        if files == ONLY_A_MANIFEST and not is_streamed:
            return False
        self._job.repository.materialise(tag, path, place, only=() if is_streamed else ("dictionary",))
        return any(map(self._names_one, sorted(place.rglob("*.parquet"))))

    def _names_one(self, path: Path) -> bool:
        """Whether a text column of a Parquet file has one of the ids."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        file = pq.ParquetFile(path)
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        for batch in file.iter_batches(columns=texts):
            for column in batch.columns:
                if pc.any(pc.is_in(column.cast(pa.string()), self._array)).as_py():
                    return True
        return False


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind))
