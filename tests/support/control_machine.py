"""Random operations on the real control plane and on `control_model.Model` side by side: each answer must be the model's.

The machine also plays everybody else who moves resources on: the tasks of a DAG run, the runtime's workers, and the
reconciler, whose own functions it calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipelines.platform.activation import activate_campaigns
from pipelines.platform.recommenders import advance_recommenders
from pipelines.platform.removal import remove_deleted
from pipelines.platform.runs import settle_runs, start_runs
from pipelines.platform.stopping import end_stopped
from pipelines.platform.unavailable import REASONS, end_unavailable
from pipelines.registry import store
from tests.support.calling import Refused
from tests.support.control_asks import Ask, Asks
from tests.support.control_changes import Changes
from tests.support.control_model import EXISTS, FAILED, Model, Row
from tests.support.control_world import Runs, World
from tests.support.kinds import KINDS, Kind

WORKED = frozenset({"DatasetImportJob", "DatasetExportJob", "DataDeletionJob", "SolutionVersion", "BatchInferenceJob"})
"""Kinds whose work a DAG run does."""
BEGUN = ("CREATE PENDING", "CREATE IN_PROGRESS", "PENDING", "IN_PROGRESS")
TRAINED = {*WORKED, "Recommender"}
"""And those whose work somebody will do."""


@dataclass
class Cursor:
    """A list that was begun: its filter, its token, and the number of the last row shown."""

    kind: Kind
    within: str | None
    token: str
    last: int


class ControlMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.model, self.cursors = world, Model(), list[Cursor]()
        self.asks = Asks(self.model, world.settings)
        self.changes = Changes(self.asks)
        world.empty()

    def expect(self, refusals: set[str], operation: str, **given: Any) -> dict[str, Any] | None:
        """The answer that the model wants: the members, or None after one of the refusals."""
        try:
            answer = self.world.call(operation, **given)
        except Refused as refused:
            assert refused.code in refusals, f"{operation} {given}: {refused}, but the model says {refusals or 'yes'}"
            return None
        assert not refusals, f"{operation} {given} was done, but the model says {refusals}"
        return answer

    @initialize(domain=st.sampled_from([None, "ECOMMERCE"]), stage=st.integers(0, 3))
    def a_shop(self, domain: str | None, stage: int) -> None:
        """Most rules need data, a trained version, a campaign: without them examples would stay shallow."""
        group = self.make(self.asks.group("a", domain))
        if stage >= 1:
            schema = self.make(self.asks.schema("a", "INTERACTIONS", domain))
            self.make(self.asks.dataset("a", group.arn, schema.arn, "INTERACTIONS"))
            solution = self.make(self.asks.solution("a", group.arn))
        if stage >= 2:
            self.end(self.make(self.asks.solution_version(solution.arn, None, "FULL")), done=True)
        if stage == 3:
            self.make(self.asks.campaign("a", f"{solution.arn}/$LATEST"))
            self.workers_report(reported=True, error=None)

    def make(self, ask: Ask) -> Row:
        row = self.created(ask)
        assert row is not None
        return row

    # What clients do ------------------------------------------------------------------------------------

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        self.created(self.asks.drawn(data.draw(self.asks.creatable()), data.draw))

    @rule(data=st.data())
    def create_more(self, data: st.DataObject) -> None:
        """Twice as likely as any other rule."""
        self.create(data)

    def created(self, ask: Ask) -> Row | None:
        kind, model = ask.kind, self.model
        refusals = set(ask.refusals) | set(model.over_quota(kind.name, ask.group))
        if ask.arn in model.rows:
            refusals.add(EXISTS)
        answer = self.expect(refusals, f"Create{kind.name}", **ask.given)
        if answer is None:
            return None
        assert ask.arn in (None, answer[kind.arn])
        arn = answer[kind.arn]
        name = ask.given.get(kind.label) or f"{ask.name_before}/{arn.rpartition('/')[2]}"
        row = Row(kind.name, arn, name, kind.born, model.made + 1, ask.group, ask.parent, ask.facts, ask.tags)
        return model.add(row)

    @rule(data=st.data())
    def describe(self, data: st.DataObject) -> None:
        kind = data.draw(self.asks.there())
        self.described(KINDS[kind], self.asks.arn(kind, data.draw))

    def described(self, kind: Kind, arn: str) -> None:
        row = self.model.get(kind.name, arn)
        answer = self.expect(set() if row else {"ResourceNotFoundException"}, f"Describe{kind.name}", **{kind.arn: arn})
        if answer is not None and row is not None:
            shown = answer[kind.member]
            wanted = {kind.arn: row.arn, kind.label: row.name, **self.asks.shown(row)}
            assert {name: shown.get(name) for name in wanted} == wanted
            assert shown.get("status") == row.status
            if not row.deleting and not row.unfinished:
                assert ("failureReason" in shown) == (row.status in (FAILED, "FAILED"))
            assert shown["lastUpdatedDateTime"] >= shown["creationDateTime"]
            if kind.taggable:
                tags = self.world.call("ListTagsForResource", resourceArn=arn)["tags"]
                assert {tag["tagKey"]: tag["tagValue"] for tag in tags} == row.tags

    @rule(narrow=st.booleans(), most=st.integers(1, 3), data=st.data())
    def begin_list(self, narrow: bool, most: int, data: st.DataObject) -> None:
        kind = KINDS[data.draw(self.asks.there())]
        within = self.asks.arn(kind.within, data.draw) if kind.within and narrow else None
        missing = kind.name == "SolutionVersion" and within and self.model.get("Solution", within) is None
        self._list(kind, within, None, self.model.made + 1, most, {"ResourceNotFoundException"} if missing else set())

    @precondition(lambda self: self.cursors)
    @rule(most=st.integers(1, 100))
    def go_on_with_a_list(self, most: int) -> None:
        """Whatever was made or removed meanwhile, it goes on behind the last row shown."""
        at = self.cursors.pop(0)
        missing = at.kind.name == "SolutionVersion" and at.within and not self.model.get("Solution", at.within)
        # Made anew under its old ARN it is another resource, and the token is not of its list.
        parent = at.within and self.model.rows.get(at.within)
        foreign = at.within and (parent is None or parent.number > at.last)
        refusals = ({"InvalidNextTokenException"} if foreign else set()) | (
            {"ResourceNotFoundException"} if missing else set()
        )
        self._list(at.kind, at.within, at.token, at.last, most, refusals)

    def _list(
        self, kind: Kind, within: str | None, token: str | None, last: int, most: int, refusals: set[str]
    ) -> None:
        asked: dict[str, Any] = {"maxResults": most}
        if within is not None and kind.within is not None:
            asked[kind.within[0].lower() + kind.within[1:] + "Arn"] = within
        answer = self.expect(refusals, kind.list, **asked, **({"nextToken": token} if token else {}))
        if answer is None:
            return
        rows = [row for row in self.model.of(kind.name) if row.number < last and within in (None, self.near(kind, row))]
        rows.reverse()
        wanted = [(row.arn, row.status) for row in rows[:most]]
        assert [(shown[kind.arn], shown.get("status")) for shown in answer[kind.key]] == wanted
        assert ("nextToken" in answer) == (len(rows) > most)
        if "nextToken" in answer:
            self.cursors.append(Cursor(kind, within, answer["nextToken"], rows[most - 1].number))

    def near(self, kind: Kind, row: Row) -> str | None:
        """What narrows a list to the row."""
        return row.group if kind.within == "DatasetGroup" else row.parent

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        kind = KINDS[data.draw(self.asks.there(lambda kind: kind.deletable))]
        arn = self.asks.arn(kind.name, data.draw)
        if self.expect(self.model.delete_refusals(kind.name, arn), f"Delete{kind.name}", **{kind.arn: arn}) is not None:
            self.model.delete(self.model.rows[arn])

    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        change = self.changes.update(data.draw)
        if self.expect(change.refusals, change.operation, **change.given) is not None:
            change.apply()

    # What everybody else does ---------------------------------------------------------------------------

    def begun(self) -> list[Row]:
        """Whose work has not ended."""
        return [row for row in self.model.rows.values() if row.kind in TRAINED and str(row.status).startswith(BEGUN)]

    @precondition(begun)
    @rule(step=st.sampled_from(["begins", "is done", "is done", "fails"]), data=st.data())
    def work(self, step: str, data: st.DataObject) -> None:
        """A task of the DAG run says that it has begun, or writes the result as the last thing that it does."""
        row = data.draw(st.sampled_from(self.begun()))
        if step != "begins":
            self.end(row, done=step == "is done")
        else:
            row.status = str(row.status).replace("PENDING", "IN_PROGRESS")
            self.world.write(row, status=row.status)

    def end(self, row: Row, done: bool) -> None:
        row.status = KINDS[row.kind].done if done else store.failed_status(row.kind)
        self.world.write(row, status=row.status, failure_reason=None if done else "a reason")
        if done and row.kind == "DatasetImportJob" and row.parent is not None:
            dataset = self.model.rows[row.parent]
            dataset.facts["imported"] = True
            self.world.write(dataset, internal={"snapshot": {"tag": "data/1"}}, touch=False)

    @rule(state=st.sampled_from(["running", "running", "failed", "success"]))
    def look_at_runs(self, state: str) -> None:
        """A run that ended and left its resource unfinished makes it fail."""
        now, runs = datetime.now(UTC), Runs(state)
        with self.world.db.connect() as conn:
            assert start_runs(conn, runs, now).problem is None
            assert settle_runs(conn, runs, now + timedelta(minutes=1)).problem is None
        rows = {row.arn: row for row in self.begun() if row.kind in WORKED}
        assert set(runs.started) <= set(rows)
        for row in rows.values() if state != "running" else ():
            row.status = store.failed_status(row.kind)

    @precondition(lambda self: self.model.of("Campaign"))
    @rule(error=st.sampled_from([None, "no such file"]), reported=st.booleans())
    def workers_report(self, error: str | None, reported: bool) -> None:
        """The runtime's one worker has loaded every campaign's deployment, or could not, or has not tried yet."""
        self.world.no_worker_lives()
        if reported:
            self.world.worker_reports(error)
        with self.world.db.connect() as conn:
            activate_campaigns(conn, datetime.now(UTC))
        for row in self.model.of("Campaign"):
            if not row.deleting and (row.unfinished or row.updating):
                self.model.workers_report(row, reported, error)

    @rule(duty=st.sampled_from(["recommenders", "unavailable", "stopped"]))
    def reconciler_steps(self, duty: str) -> None:
        """Recommenders are stopped, started, updated; what nobody makes yet fails; no process of a stopped version lives."""
        with self.world.db.connect() as conn:
            if duty == "recommenders":
                advance_recommenders(conn, datetime.now(UTC))
                self.model.recommenders_move()
            elif duty == "stopped":
                end_stopped(conn, self.world.settings)
            else:
                end_unavailable(conn)
        for row in self.model.rows.values():
            if duty == "stopped" and row.status == "CREATE STOPPING":
                row.status = "CREATE STOPPED"
            if duty == "unavailable" and row.kind in REASONS and str(row.status).startswith(BEGUN):
                row.status = FAILED

    @precondition(lambda self: any(row.deleting for row in self.model.rows.values()))
    @rule()
    def reconciler_removes(self) -> None:
        """Until it can do no more, an hour later, when a group has been visible for long enough."""
        later, left = datetime.now(UTC) + timedelta(hours=1), -1
        with self.world.db.connect() as conn:
            while left != (left := len(self.world.rows())):
                for _ in range(2):
                    remove_deleted(conn, self.world.settings, later)
        self.model.remove_deleted()

    # What must hold after each ----------------------------------------------------------------------------

    @invariant()
    def the_registry_is_the_model(self) -> None:
        """Kinds, names, states, what each hangs on, and one wish for a DAG run with each job, and none without."""
        wanted = {
            row.arn: (row.arn, row.kind, row.name, row.status, row.group, row.parent, int(row.kind in WORKED))
            for row in self.model.rows.values()
        }
        assert self.world.rows() == wanted

    def teardown(self) -> None:
        """Every list shows what every describe shows."""
        for kind in KINDS.values():
            self._list(kind, None, None, self.model.made + 1, 100, set())
            for row in self.model.of(kind.name):
                self.described(kind, row.arn)
