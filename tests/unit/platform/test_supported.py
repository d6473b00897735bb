"""What SUPPORTED.md says: read off the code, and true."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import pipelines.control
from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME
from pipelines.control.operations import OPERATIONS
from pipelines.platform import supported
from pipelines.platform.supported import LIFE, NOT_YET, TOPICS, YES
from pipelines.platform.supported_views import page
from pipelines.platform.unavailable import REASONS

ROOT = Path(__file__).parents[3]


def test_the_file_is_what_the_code_says() -> None:
    assert (ROOT / "SUPPORTED.md").read_text() == page(), "run `openpersonalize supported > SUPPORTED.md`"


def test_every_operation_of_aws_is_shown_once() -> None:
    lines = page().split("## Work that")[0].splitlines()
    for service in (CONTROL, RUNTIME, EVENTS):
        for name in supported.operations(service):
            assert sum(name in line.replace("|", ",").split(", ") or f" {name} " in line for line in lines) == 1, name


def test_an_operation_is_supported_if_there_is_a_function_for_it() -> None:
    known = supported.operations(CONTROL)
    assert set(OPERATIONS) == set(known), "all 71 are there"
    assert {name for name in known if supported.state(CONTROL, name) != NOT_YET} == set(OPERATIONS)


def test_what_cannot_be_made_yet_is_not_shown_as_supported() -> None:
    for kind in REASONS:
        assert supported.state(CONTROL, f"Create{kind}") == LIFE
    assert supported.state(RUNTIME, "GetActionRecommendations") == NOT_YET
    assert supported.state(RUNTIME, "GetRecommendations") == YES


def test_work_that_is_wished_for_has_its_dag() -> None:
    modules = [
        importlib.import_module(f"pipelines.control.{one.name}")
        for one in pkgutil.iter_modules(pipelines.control.__path__)
    ]
    wished = {module.DAG_ID for module in modules if hasattr(module, "DAG_ID")}
    assert wished <= {path.stem for path in (ROOT / "dags").glob("*.py")}


def test_every_refused_member_is_one_that_aws_knows() -> None:
    found = supported.refused_members()
    assert [one.member for one in found if not one.operations] == []
    assert {"performAutoML", "campaignConfig.rankingInfluence"} <= {one.member for one in found}


def test_differences_are_whole_sentences_said_once() -> None:
    found = supported.differences()
    assert {one.topic for one in found} == set(TOPICS)
    assert len({one.what for one in found}) == len(found) > 30
    assert not any("# " in one.why or "  " in one.why for one in found)


@pytest.mark.parametrize("text", ["speed: It is faster.", "data: no reason.", "no topic. At all."])
def test_a_difference_without_topic_or_reason_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(supported, "source_root", lambda: tmp_path)
    source = tmp_path / "one.py"
    source.write_text(f"# Unlike AWS, {text}\nNAME = 1\n")
    with pytest.raises(ValueError, match="must be `<topic>: <what>"):
        list(supported._declared(source))
