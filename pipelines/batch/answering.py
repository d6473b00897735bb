"""Some lines of a file, answered; `python -m pipelines.batch.answering TASK ARTEFACT` is a process that does nothing else.

It answers chunk after chunk on one thread of numpy's, as a worker of the runtime does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine

from pipelines.aws.errors import InvalidInput
from pipelines.batch import lines, streamed
from pipelines.batch.child import Answered, serve
from pipelines.batch.items import known_items
from pipelines.batch.streamed import Streams
from pipelines.datasets.schema import property_name
from pipelines.filters.checking import kept
from pipelines.filters.values import Values, read_values
from pipelines.registry.database import engine
from pipelines.serving import calls
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import Exploration
from pipelines.serving.filtering import FilterAsked, Filtered, Filtering
from pipelines.serving.recommender import Recommender
from pipelines.serving.touching import TypedEvents
from pipelines.settings import Settings

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Task(Streams):
    """What an answer depends on beside the line and the version's artefact. Goes to the processes as JSON."""

    seed: str
    """With file and line what chance the exploration takes."""
    now: float
    """Epoch seconds at which the job was created."""
    num_results: int
    exploration: Mapping[str, str]
    """itemExplorationConfig."""
    filter: tuple[str, Mapping[str, Mapping[str, str]]] | None = None
    """Expression of the job's filter, and the columns that it reads, as `kept` takes them (pipelines/filters)."""
    items: str = ""
    """What `items_of` gave (items.py)."""


@dataclass
class _Line:
    number: int
    text: bytes
    given: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    asked: Asked | None = None
    error: str | None = None


class Answerer:
    """Answers the lines of one job."""

    def __init__(self, recommender: Recommender, task: Task, database: Engine) -> None:
        self.recommender, self.task, self._database = recommender, task, database
        artefact = recommender.artefact
        ranks = artefact.recipe_type == "PERSONALIZED_RANKING"
        self._operation = calls.GET_PERSONALIZED_RANKING if ranks else calls.GET_RECOMMENDATIONS
        self._exploration = Exploration.from_config(task.exploration) if artefact.explores else None
        self._events, users = task.windows(artefact.cutoffs)
        self._filter = kept(*task.filter) if task.filter is not None else None
        self._filtering = None
        if self._filter is not None:
            self._filtering = Filtering(artefact, self._filter, known_items(artefact, task.items))
        self._columns = {*artefact.user_columns, *(self._filtering.user_columns if self._filtering else ())}
        self._users = users if self._columns else None

    def answer(self, file: str, first: int, data: bytes) -> Answered:
        """One line for each of `data` that is not empty, in their order; the first is line `first` of the file."""
        asked = [self._read(number, line) for number, line in numbered(first, data)]
        self._look_up(asked)
        written = [self._answer(file, line) for line in asked]
        return Answered(b"".join(written), sum(line.error is not None for line in asked))

    def _read(self, number: int, text: bytes) -> _Line:
        line = _Line(number, text)
        try:
            line.given = lines.parse(text)
            line.call = lines.call(line.given, self._operation, self.task.num_results)
            asked = calls.asked(self.recommender.artefact, self._operation, line.call)
            line.values = self._values(line.given, asked)
            line.asked = asked
        except (lines.BadLine, InvalidInput) as error:
            line.error = str(error)
        return line

    def _values(self, given: Mapping[str, Any], asked: Asked) -> Values:
        values = lines.filter_values(given)
        if self._filter is None or self._filtering is None:
            if values:
                raise InvalidInput("filterValues is given, but the job has no filterArn.")
            return {}
        if self._filtering.needs_user and not asked.user_key:
            raise InvalidInput("userId is required: the filter is about what the user did or is.")
        return read_values(self._filter, values)

    def _look_up(self, found: list[_Line]) -> None:
        """Put into what is asked what was streamed of the users."""
        users = {line.asked.user_key for line in found if line.asked is not None}
        typed = self._filtering is not None and self._filtering.reads_events
        with self._database.begin() as conn:
            events = streamed.events(conn, self._events, users) if self.recommender.artefact.is_personal else {}
            types = streamed.typed(conn, self._events, users) if typed else {}
            records = streamed.records(conn, self._users, users) if self._users is not None else {}
        for line in found:
            if line.asked is not None:
                key = line.asked.user_key
                record = self._record(records.get(key))
                asked = replace(line.asked, streamed=events.get(key, ()), user_record=record)
                line.asked = self._filtered(asked, line.values, types.get(key, ()))

    def _record(self, record: Mapping[str, str | None] | None) -> Mapping[str, str | None] | None:
        if record is None:
            return None
        return {column: record.get(property_name(column)) for column in self._columns}

    def _filtered(self, asked: Asked, values: Values, types: TypedEvents) -> Asked:
        if self._filtering is None:
            return asked
        brought = FilterAsked(values, asked.user_key, asked.item_id, self.task.now, types, asked.user_record)
        return replace(asked, filtered=Filtered(self._filtering, brought))

    def _answer(self, file: str, line: _Line) -> bytes:
        if line.asked is None:
            return lines.failure(line.text, line.error or "")
        seed = f"{self.task.seed}:{file}:{line.number}"
        asked = replace(line.asked, exploration=self._exploration, seed=seed, now=self.task.now)
        scored = calls.answered(self.recommender, self._operation, line.call, asked)
        return lines.answer(line.given, scored, self.recommender.artefact.has_scores)


def numbered(first: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers; the first of `data` is line `first` of its file."""
    for number, line in enumerate(data.split(b"\n"), first):
        bare = line.removeprefix(BOM) if number == 1 else line
        if bare.strip():
            yield number, bare


def main() -> None:
    """Serve until the input ends."""
    task, folder = Task(**orjson.loads(sys.argv[1])), Path(sys.argv[2])
    database = engine(Settings.from_env(), pool_size=1)
    answerer = Answerer(Recommender(Artefact.open(folder)), task, database)
    serve(answerer.answer)


if __name__ == "__main__":
    main()
