"""Requests drawn at random, with what the model says of each: which refusals fit, and what the resource would be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pipelines.settings import Settings
from tests.support.control_model import ACTIVE, EXISTS, IN_USE, INVALID, Model, Row
from tests.support.group import INTERACTIONS, schema_text
from tests.support.kinds import KINDS, Kind

Draw = Callable[[Any], Any]
names = st.sampled_from("abc")
domains = st.sampled_from([None, None, "ECOMMERCE"])

_ITEMS = [{"name": "ITEM_ID", "type": "string"}, {"name": "CATEGORY_L1", "type": "string", "categorical": True}]
_USERS = [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}]
FIELDS: dict[tuple[str, bool], list[dict[str, Any]]] = {
    ("INTERACTIONS", False): [*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string"}],
    ("ITEMS", False): [*_ITEMS, {"name": "PRICE", "type": "float"}],
    ("ITEMS", True): [*_ITEMS, {"name": "PRICE", "type": "float"}, {"name": "CREATION_TIMESTAMP", "type": "long"}],
    ("USERS", False): _USERS,
}
"""By dataset type and whether it has a field more than the other schema of the type."""
TITLE = {"INTERACTIONS": "Interactions", "ITEMS": "Items", "USERS": "Users"}


@dataclass
class Ask:
    """A create, what stands against it, and what it would make."""

    kind: Kind
    given: dict[str, Any]
    refusals: set[str] = field(default_factory=set)
    arn: str | None = None
    """None of kinds whose ARN is not known before."""
    group: str | None = None
    parent: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    name_before: str = ""
    """What the name begins with when none is given."""


class Asks:
    """Draws requests that fit the model's resources as often as not."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self._prefix = f"arn:aws:personalize:{settings.region}:{settings.account_id}:"

    def arn(self, kind: str, draw: Draw) -> str:
        """Of a resource that is there, was there, never was, or is of another kind."""
        there = [row.arn for row in self.model.of(kind)]
        gone = [row.arn for row in self.model.gone if row.kind == kind and row.arn not in self.model.rows][-1:]
        other = [row.arn for row in self.model.rows.values() if row.kind != kind][:1]
        missing = [*gone, *other, f"{self._prefix}no-such/thing"]
        return str(draw(st.sampled_from([*there * (1 + 9 // max(len(there), 1)), *missing])))

    def creatable(self) -> st.SearchStrategy[str]:
        """Kinds, rarely those whose parent is missing."""
        # What comes first is drawn most: what hangs deepest, and is never refused for its recipe.
        likely = [kind for kind in reversed(KINDS.values()) if kind.name != "BatchSegmentJob"]
        fitting = [kind.name for kind in likely if kind.parent is None or self.model.of(kind.parent)]
        return st.sampled_from([*fitting * 3, *KINDS])

    def there(self, wanted: Callable[[Kind], bool] = lambda kind: True) -> st.SearchStrategy[str]:
        """Kinds, rarely those of which there are none."""
        kinds = [kind.name for kind in KINDS.values() if wanted(kind)]
        return st.sampled_from([*[kind for kind in kinds if self.model.of(kind)] * 5, *kinds])

    def named(self, kind: str, name: str) -> str:
        """The ARN of kinds whose name is its end."""
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind)[1:]
        return f"{self._prefix}{words}/{name}"

    # Creates, by kind -------------------------------------------------------------------------------------

    def drawn(self, kind: str, draw: Draw) -> Ask:
        ask: Ask = getattr(self, f"_draw_{kind}")(draw)
        if KINDS[kind].taggable and draw(st.booleans()):
            ask.tags = {"team": "shop"}
            ask.given["tags"] = [{"tagKey": "team", "tagValue": "shop"}]
        return ask

    def group(self, name: str, domain: str | None) -> Ask:
        given = KINDS["DatasetGroup"].create(name, **({"domain": domain} if domain else {}))
        return Ask(KINDS["DatasetGroup"], given, arn=self.named("DatasetGroup", name), facts={"domain": domain})

    def _draw_DatasetGroup(self, draw: Draw) -> Ask:
        return self.group(draw(names), draw(domains))

    def schema(self, name: str, dataset_type: str, domain: str | None, more: bool = False) -> Ask:
        fields = FIELDS[dataset_type, more]
        given = {
            "name": name,
            "schema": schema_text(fields, TITLE[dataset_type]),
            **({"domain": domain} if domain else {}),
        }
        facts = {"type": dataset_type, "domain": domain, "more": more}
        return Ask(KINDS["Schema"], given, arn=self.named("Schema", name), facts=facts)

    def _draw_Schema(self, draw: Draw) -> Ask:
        dataset_type, more = draw(st.sampled_from(list(FIELDS)))
        return self.schema(draw(st.sampled_from("abcdefgh")), dataset_type, draw(domains), more)

    def dataset(self, name: str, group: str, schema: str, dataset_type: str) -> Ask:
        against = {*self.model.usable("DatasetGroup", group), *self.model.dataset_fits(group, schema, dataset_type)}
        given = {"name": name, "datasetGroupArn": group, "schemaArn": schema, "datasetType": dataset_type.title()}
        arn = f"{self._prefix}dataset/{group.rpartition('/')[2]}/{dataset_type}"
        facts = {"type": dataset_type, "schema": schema}
        return Ask(KINDS["Dataset"], given, against, arn, group, facts=facts)

    def _draw_Dataset(self, draw: Draw) -> Ask:
        schema = self.arn("Schema", draw)
        row = self.model.get("Schema", schema)
        wanted = [row.facts["type"]] * 2 if row else []
        dataset_type = draw(st.sampled_from([*wanted, *TITLE]))
        return self.dataset(draw(names), self.arn("DatasetGroup", draw), schema, dataset_type)

    def _under(self, kind: str, draw: Draw, parent_of_row: bool = True, **given: Any) -> Ask:
        """A create with a name of its own under an ACTIVE parent."""
        made = KINDS[kind]
        assert made.parent is not None
        parent, name = self.arn(made.parent, draw), draw(names)
        row = self.model.get(made.parent, parent)
        group = parent if made.parent == "DatasetGroup" else (row.group if row else None)
        hangs_on = None if made.parent == "DatasetGroup" else parent
        arn = self.named(kind, name) if made.arn_by_name else None
        return Ask(
            made, made.create(name, parent, **given), set(self.model.usable(made.parent, parent)), arn, group, hangs_on
        )

    def _draw_DatasetImportJob(self, draw: Draw) -> Ask:
        mode = draw(st.sampled_from(["FULL", "INCREMENTAL"]))
        ask = self._under("DatasetImportJob", draw, importMode=mode)
        dataset = self.model.get("Dataset", ask.parent or "")
        if dataset and any(job.unfinished for job in self.model.of("DatasetImportJob", parent=dataset.arn)):
            ask.refusals.add(IN_USE)
        if dataset and mode == "INCREMENTAL" and not dataset.facts.get("imported"):
            ask.refusals.add(INVALID)
        return ask

    def _draw_DatasetExportJob(self, draw: Draw) -> Ask:
        return self._under("DatasetExportJob", draw)

    def _draw_DataDeletionJob(self, draw: Draw) -> Ask:
        return self._under("DataDeletionJob", draw)

    def _draw_EventTracker(self, draw: Draw) -> Ask:
        ask = self._under("EventTracker", draw)
        ask.refusals |= set(self.model.one_a_group("EventTracker", ask.group or ""))
        return ask

    def solution(self, name: str, group: str) -> Ask:
        against = set(self.model.usable("DatasetGroup", group))
        facts = {"auto": True}
        return Ask(
            KINDS["Solution"],
            KINDS["Solution"].create(name, group),
            against,
            self.named("Solution", name),
            group,
            facts=facts,
        )

    def _draw_Solution(self, draw: Draw) -> Ask:
        return self.solution(draw(names), self.arn("DatasetGroup", draw))

    def _draw_SolutionVersion(self, draw: Draw) -> Ask:
        name, mode = st.sampled_from([None, None, "a", "b"]), st.sampled_from(["FULL", "FULL", "UPDATE"])
        return self.solution_version(self.arn("Solution", draw), draw(name), draw(mode))

    def solution_version(self, arn: str, name: str | None, mode: str) -> Ask:
        solution = self.model.get("Solution", arn)
        against = {*self.model.usable("Solution", arn), *self.model.trainable(solution)}
        siblings = self.model.of("SolutionVersion", parent=arn)
        if name and any(one.name == name for one in siblings):
            against.add(EXISTS)
        if mode == "UPDATE" and not any(one.status == ACTIVE and one.facts["mode"] == "FULL" for one in siblings):
            against.add(INVALID)
        given = {"solutionArn": arn, "trainingMode": mode, **({"name": name} if name else {})}
        group = solution.group if solution else None
        before = arn.rpartition("/")[2]
        return Ask(KINDS["SolutionVersion"], given, against, None, group, arn, {"mode": mode}, name_before=before)

    def _draw_Campaign(self, draw: Draw) -> Ask:
        return self.campaign(draw(names), self.version(draw)[0])

    def campaign(self, name: str, asked: str) -> Ask:
        version, against = self.model.version_of(asked)
        facts = {"served": version.arn, "wanted": version.arn} if version else {}
        given = {"name": name, "solutionVersionArn": asked}
        group, parent = (version.group, version.parent) if version else (None, None)
        return Ask(KINDS["Campaign"], given, against, self.named("Campaign", name), group, parent, facts)

    def version(self, draw: Draw) -> tuple[str, Row | None, set[str]]:
        """A solutionVersionArn, its version and what stands against it."""
        latest = draw(st.sampled_from([False, False, True]))
        asked = f"{self.arn('Solution', draw)}/$LATEST" if latest else self.arn("SolutionVersion", draw)
        return asked, *self.model.version_of(asked)

    def _draw_Recommender(self, draw: Draw) -> Ask:
        ask = self._under("Recommender", draw)
        group = self.model.get("DatasetGroup", ask.group or "")
        if group is not None and group.facts["domain"] is None:
            ask.refusals.add(INVALID)
        return ask

    def _draw_Filter(self, draw: Draw) -> Ask:
        ask = self._under("Filter", draw)
        ask.refusals |= set(self.model.event_types(ask.group or ""))
        return ask

    def _draw_MetricAttribution(self, draw: Draw) -> Ask:
        ask = self._under("MetricAttribution", draw)
        ask.refusals |= set(self.model.one_a_group("MetricAttribution", ask.group or ""))
        ask.refusals |= set(self.model.event_types(ask.group or ""))
        return ask

    def _draw_BatchInferenceJob(self, draw: Draw) -> Ask:
        filter_arn = draw(st.sampled_from([None, None, "one"])) and self.arn("Filter", draw)
        ask = self._under("BatchInferenceJob", draw, **({"filterArn": filter_arn} if filter_arn else {}))
        ask.refusals |= self.model.version_of(ask.parent or "")[1]
        if filter_arn:
            ask.refusals |= set(self.model.usable("Filter", filter_arn))
            found = self.model.get("Filter", filter_arn)
            if found is not None and found.group != ask.group:
                ask.refusals.add(INVALID)
            ask.facts["filter"] = filter_arn
        return ask

    def _draw_BatchSegmentJob(self, draw: Draw) -> Ask:
        """Never of a version of the tests' recipe, which makes no segments."""
        ask = self._under("BatchSegmentJob", draw)
        ask.refusals |= {*self.model.version_of(ask.parent or "")[1], INVALID}
        return ask

    # What a describe shows --------------------------------------------------------------------------------

    def shown(self, row: Row) -> dict[str, Any]:
        """Members of the describe answer beside ARN, name and status."""
        if row.kind == "DatasetGroup":
            return {"domain": row.facts["domain"]}
        if row.kind == "Dataset":
            return {"datasetType": row.facts["type"], "schemaArn": row.facts["schema"], "datasetGroupArn": row.group}
        if row.kind == "Solution":
            return {"performAutoTraining": row.facts["auto"], "datasetGroupArn": row.group}
        if row.kind == "SolutionVersion":
            return {"solutionArn": row.parent, "trainingMode": row.facts["mode"]}
        if row.kind == "Campaign":
            return {"solutionVersionArn": row.facts["served"]}
        if row.kind in ("DatasetImportJob", "DatasetExportJob"):
            return {"datasetArn": row.parent}
        if row.kind in ("BatchInferenceJob", "BatchSegmentJob"):
            return {"solutionVersionArn": row.parent}
        return {"datasetGroupArn": row.group} if row.group else {}
