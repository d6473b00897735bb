"""The stages as DVC runs them: files in, new files out, and a reason a person can act on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines import code_digest, stages, stages_definition
from pipelines.datasets import snapshot
from pipelines.datasets.schema import ARRIVAL, read_schema, smallest_schema
from pipelines.datasets.streamed import write, write_empty
from pipelines.disk import replacing
from pipelines.recipes.training_columns import DATASET_TYPES
from pipelines.serving.artefact import Artefact, LoadedEncoding
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from tests.support import quick_fit
from tests.support.measured import ContraryRecipe

ROOT = Path(__file__).parents[2]
EVENTS = stages.INPUTS / "streamed" / "interactions.parquet"


def params(**solution: Any) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["solution"] |= solution
    document["hyperparameters"]["hidden_dimension"] = 32
    # Two threads that wait for each other on a busy machine take far longer than one.
    document["training"]["threads"] = 1
    return document


SCHEMA = {
    **smallest_schema("INTERACTIONS").avro,
    "fields": [
        *smallest_schema("INTERACTIONS").avro["fields"],
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "EVENT_VALUE", "type": ["null", "float"]},
    ],
}


def put(events: pa.Table) -> None:
    """Freeze streamed events in the worktree."""
    write(iter([events]), EVENTS, read_schema(SCHEMA, "INTERACTIONS"))


def streamed(users: int = 120, each: int = 30) -> pa.Table:
    """Events of users who each walk through one of ten clusters of items."""
    random = np.random.default_rng(0)
    user = np.repeat(np.arange(users), each)
    item = (user % 10) * 10 + random.integers(0, 10, users * each)
    return pa.table(
        {
            "USER_ID": [f"u{n}" for n in user],
            "ITEM_ID": [f"i{n}" for n in item],
            "TIMESTAMP": np.tile(1_600_000_000 + 60 * np.arange(each), users),
            "EVENT_TYPE": ["watch"] * (users * each),
            "EVENT_VALUE": pa.nulls(users * each, pa.float32()),
            ARRIVAL: np.arange(1, users * each + 1),
        }
    )


@pytest.fixture
def worktree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A version's worktree with empty snapshots and streamed events."""
    monkeypatch.chdir(tmp_path)
    for kind in DATASET_TYPES:
        snapshot.write_empty(stages.INPUTS / kind.lower(), kind)
        write_empty(smallest_schema(kind), stages.INPUTS / "streamed" / f"{kind.lower()}.parquet")
    put(streamed())
    return tmp_path


def files(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def make_version(wanted: dict[str, Any]) -> None:
    for stage in (stages.prepare, stages.tune, stages.evaluate, stages.train, stages.package):
        stage(wanted)


def test_a_version_is_made_and_answers(worktree: Path) -> None:
    make_version(params())
    artefact = Artefact.open(stages.ARTEFACT)
    answer = Recommender(artefact).recommend(Asked("u3"), 10)
    # User 3 stays with items 30 to 39.
    assert sum(30 <= int(scored.item_id[1:]) < 40 for scored in answer) >= 8
    report = json.loads(stages.METRICS.read_text())
    assert artefact.manifest["metrics"] == report["metrics"]
    assert artefact.manifest["warnings"] == report["warnings"]
    # Each user's ten items come in any order, so that chance decides whether twelve users' repeats do better.
    assert not [warning for warning in report["warnings"] if warning["code"] == "loses-to-popularity"]
    assert set(report["baselines"]) == {"popularity", "repeat", "markov"}
    assert stages.LOSS.read_text().startswith("epoch,train_loss,validation_loss,")
    models = ["aws-user-personalization", "popularity", "repeat", "markov"]
    for comparison in (stages.COMPARISON, stages.TEMPORAL):
        assert [line.split(",")[0] for line in comparison.read_text().splitlines()] == ["model", *models]
    bins = report["calibration"]["bins"]
    assert len(stages.RELIABILITY.read_text().splitlines()) == 1 + len(bins)
    assert sum(found["pairs"] for found in bins) == 25 * report["test_users"]


ITEMS = {
    **smallest_schema("ITEMS").avro,
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRES", "type": ["null", "string"], "categorical": True},
        {"name": "CREATION_TIMESTAMP", "type": "long"},
    ],
}


def put_items(ids: list[str], created: int) -> None:
    table = pa.table(
        {
            "ITEM_ID": ids,
            "GENRES": [f"g{int(identifier[1:]) // 10}" for identifier in ids],
            "CREATION_TIMESTAMP": [created] * len(ids),
            ARRIVAL: np.arange(1, len(ids) + 1),
        }
    )
    write(iter([table]), EVENTS.with_name("items.parquet"), read_schema(ITEMS, "ITEMS"))


def test_an_update_has_new_items_and_newer_counts_beside_the_same_weights_and_histories(worktree: Path) -> None:
    wanted = {**params(), "update": {"updated_from": "v", "edition": 2, "cutoffs": {"events": 1200, "users": 0}}}
    (worktree / "params.yaml").write_text(yaml.safe_dump(wanted))
    events, known = streamed(40, 30), [f"i{n}" for n in range(100)]
    put(events)
    put_items(known, 1_500_000_000)
    stages.prepare(wanted)
    quick_fit.main()
    before = Artefact.open(stages.ARTEFACT)
    # What was frozen for the version stays under another name, and what has come since stands beside it.
    EVENTS.parent.rename(stages.INPUTS / "before.streamed")
    (stages.INPUTS / "before").mkdir()
    (stages.INPUTS / "before.streamed").rename(stages.INPUTS / "before" / "streamed")
    write_empty(smallest_schema("USERS"), EVENTS.with_name("users.parquet"))
    newer = events.slice(0, 5)
    put(newer.set_column(2, "TIMESTAMP", pa.array([1_700_000_000] * 5)).set_column(0, "USER_ID", pa.array(["u0"] * 5)))
    put_items([*known, "i130"], 1_500_000_000)
    shown = pa.table({"ITEM_ID": ["i130"], "SHOWN": pa.array([9], pa.int64())})
    pq.write_table(shown, EVENTS.with_name("shown.parquet"))

    stages.update(wanted)

    after = Artefact.open(stages.ARTEFACT)
    [new] = after.items.codes(["i130"])
    assert new == 100 == len(before.items)
    assert (after.shown[new], after.interactions[new], after.created[new]) == (9, 0, 1_500_000_000)
    assert isinstance(after.answers, LoadedEncoding) and isinstance(before.answers, LoadedEncoding)
    assert np.array_equal(after.answers.item_matrix[:100], before.answers.item_matrix)
    assert (after.interactions.sum(), before.interactions.sum()) == (1205, 1200)
    assert (after.newest, before.newest) == (1_700_000_000, 1_600_000_000 + 60 * 29)
    for mine, theirs in zip(after.history(0), before.history(0), strict=True):
        assert np.array_equal(mine, theirs)
    assert (after.manifest["edition"], after.cutoffs, before.cutoffs) == (2, {"events": 1200, "users": 0}, {})
    assert after.manifest["metrics"] == before.manifest["metrics"]
    assert json.loads(stages.UPDATE.read_text()) == {
        "interactions": 1205,
        "new_interactions": 5,
        "items": 101,
        "new_items": 1,
    }
    first = files(stages.ARTEFACT)
    stages.update(wanted)
    assert files(stages.ARTEFACT) == first


def test_an_update_reads_all_that_a_version_reads_and_writes_what_it_writes() -> None:
    group = yaml.safe_load(stages_definition.group_dvc_yaml())["stages"]
    [update] = yaml.safe_load(stages_definition.update_dvc_yaml())["stages"].values()
    assert {*group["prepare"]["deps"], *group["package"]["deps"]} < set(update["deps"])
    assert {*group["prepare"]["params"], *group["package"]["params"]} < set(update["params"])
    assert group["package"]["outs"][0] in update["outs"]


def test_the_same_inputs_and_parameters_give_the_same_bytes(worktree: Path) -> None:
    put(streamed(40, 30))
    make_version(params())
    first = files(Path("data"))
    make_version(params())
    assert files(Path("data")) == first


def test_a_version_that_loses_to_popularity_says_so_in_its_log_and_its_report(
    worktree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = streamed()
    # A few items have most of the events.
    taken = [f"i{n}" for n in np.random.default_rng(0).geometric(0.1, len(events))]
    put(events.set_column(1, "ITEM_ID", pa.array(taken)))
    stages.prepare(params())
    stages.tune(params())
    monkeypatch.setattr(stages, "load_recipe", lambda recipe, settings: ContraryRecipe())
    stages.evaluate(params())
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said[0].startswith("WARNING: The model LOSES to popularity")
    report = json.loads(stages.METRICS.read_text())
    assert [f"WARNING: {warned['text']}" for warned in report["warnings"]] == said


def test_what_a_search_finds_best_is_what_is_trained_and_packaged(worktree: Path) -> None:
    # Related items: a recipe that is fitted in no time.
    wanted = params(recipe="aws-sims")
    wanted["hyperparameters"] = {"popularity_discount_factor": 0.5, "min_cointeraction_count": 3}
    wanted["featurization"] = {}
    wanted["hpo"] = {"trials": 4, "ranges": {"popularity_discount_factor": {"minimum": 0.6, "maximum": 0.9}}}
    make_version(wanted)
    report = json.loads(stages.HPO.read_text())
    assert len(report["trials"]) == 4
    assert 0.6 <= report["best"]["popularity_discount_factor"] <= 0.9
    assert report["best"]["min_cointeraction_count"] == 3
    told = Artefact.open(stages.ARTEFACT).manifest["hyperparameters"]
    assert told | report["best"] == told
    first = files(Path("data"))
    make_version(wanted)
    assert files(Path("data")) == first


def test_without_a_search_nothing_is_read_and_an_empty_report_is_written(worktree: Path) -> None:
    stages.tune(params())  # There is no data/prepared.
    assert json.loads(stages.HPO.read_text()) == {"best": {}, "trials": []}


def test_an_excluded_column_changes_no_byte_of_what_is_trained_on(worktree: Path) -> None:
    device = {"name": "DEVICE", "type": "string", "categorical": True}
    wide = read_schema({**SCHEMA, "fields": [*SCHEMA["fields"], device]}, "INTERACTIONS")
    excluded = params(columns={"INTERACTIONS": [name for name in wide.names if name != "DEVICE"]})

    def prepared(devices: list[str], wanted: dict[str, Any]) -> dict[str, bytes]:
        events = streamed()
        column = pa.array([devices[n % len(devices)] for n in range(len(events))])
        write(iter([events.append_column("DEVICE", column)]), EVENTS, wide)
        stages.prepare(wanted)
        return files(stages.PREPARED)

    without = prepared(["phone", "tablet"], excluded)
    assert prepared(["television"], excluded) == without
    assert prepared(["phone", "tablet"], params()) != without


def test_outputs_are_new_files_never_written_in_place(worktree: Path) -> None:
    stages.prepare(params())
    summary = stages.PREPARED / "summary.json"
    cached = worktree / "cached"
    os.link(summary, cached)
    before = cached.read_bytes()
    put(streamed(60, 30))
    stages.prepare(params())
    assert cached.read_bytes() == before != summary.read_bytes()


def test_a_stage_that_fails_leaves_the_earlier_output_and_no_half_one(worktree: Path) -> None:
    stages.prepare(params())
    before = files(stages.PREPARED)
    with pytest.raises(RuntimeError), replacing(stages.PREPARED) as directory:
        directory.mkdir()
        raise RuntimeError
    assert files(stages.PREPARED) == before
    assert [path.name for path in Path("data").iterdir() if path.name.startswith(".")] == []


def run_stage(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.stages", name]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_too_little_data_ends_with_one_reason_and_exit_code_2(worktree: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(params(event_type="buy")))
    ended = run_stage("prepare")
    assert ended.returncode == 2
    assert ended.stderr.strip() == (
        "failureReason: Dataset has fewer than 1000 interactions after filtering by event type: buy"
    )


def test_a_recipe_that_cannot_be_trained_says_so(worktree: Path) -> None:
    stages.prepare(params())
    for name, said in (("aws-similar-items", "cannot be trained"), ("aws-no-such", "does not exist")):
        with pytest.raises(stages.StageFailed, match=f"{name}.*{said}"):
            stages.evaluate(params(recipe=name))


def test_a_hyperparameter_out_of_range_says_so(worktree: Path) -> None:
    wanted = params()
    stages.tune(wanted)
    wanted["hyperparameters"]["bptt"] = 99
    with pytest.raises(stages.StageFailed, match=r"bptt: 99 is outside \[2, 32\]"):
        stages.train(wanted)


def test_an_unknown_stage_is_a_usage_error(worktree: Path) -> None:
    assert run_stage("publish").returncode == 64


def test_every_stage_of_dvc_yaml_is_a_function_and_the_other_way_round() -> None:
    document = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    document["stages"] |= yaml.safe_load(stages_definition.update_dvc_yaml())["stages"]
    assert list(document["stages"]) == list(stages.STAGES)
    for name, stage in document["stages"].items():
        assert stage["cmd"] == f"python -m pipelines.stages {name}"


def test_a_groups_file_is_the_roots_less_import_and_validate() -> None:
    root = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    group = yaml.safe_load(stages_definition.group_dvc_yaml())["stages"]
    assert list(group) == ["prepare", "tune", "evaluate", "train", "package"]
    for name, stage in group.items():
        left_out = [dep for dep in root[name]["deps"] if dep not in stage["deps"]]
        assert all(dep.startswith("pipelines/") or dep == "data/validated" for dep in left_out)
        assert {**root[name], "deps": []} == {**stage, "deps": []}


def test_a_group_draws_what_the_evaluation_writes_beside_its_best_epoch() -> None:
    group = yaml.safe_load(stages_definition.group_dvc_yaml())
    stage = group["stages"]["evaluate"]
    written = {name for kind in ("plots", "outs") for output in stage[kind] for name in output}
    assert written == {str(path) for path in (stages.LOSS, stages.COMPARISON, stages.TEMPORAL, stages.RELIABILITY)}
    # The diagonal is drawn too.
    (plot,) = group["plots"]
    assert plot["reliability"]["y"] == {str(stages.RELIABILITY): ["came_true", "score"]}


def test_package_waits_for_the_evaluation() -> None:
    group = yaml.safe_load(stages_definition.group_dvc_yaml())["stages"]
    assert "data/reports/metrics.json" in group["package"]["deps"]


def test_every_stage_of_a_group_depends_on_the_codes_digest() -> None:
    group = yaml.safe_load(stages_definition.group_dvc_yaml())["stages"]
    assert all("code" in stage["params"] for stage in group.values())


def test_the_digest_changes_with_a_source_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pipelines"
    for name in code_digest.SOURCES:
        file = package / name if name.endswith(".py") else package / name / "module.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("A = 1\n")
    monkeypatch.setattr(code_digest, "__file__", str(package / "code_digest.py"))
    before = code_digest.code_digest()
    assert code_digest.code_digest() == before
    (package / "evaluation" / "module.py").write_text("A = 2\n")
    assert code_digest.code_digest() != before
