"""`openpersonalize why`: what cannot be told is said in a sentence, and what is told can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.platform.cli import app
from pipelines.platform.why_command import CannotTell, Explanation, Question, collect, situation
from pipelines.platform.why_views import lines
from pipelines.serving.why import Push, Reason
from pipelines.settings import Settings
from tests.support.runtime import Shop

NEIGHBOURS = {"recipe_type": "RELATED_ITEMS", "kind": "neighbours"}


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    shop = Shop(settings)
    yield shop
    shop.close()


def active(shop: Shop, name: str, **artefact: object) -> None:
    """A campaign that is ACTIVE without a runtime."""
    arn = shop.add_campaign(shop.add_version(name, **artefact), name)
    shop.set_status(arn, "ACTIVE")


def test_a_campaign_that_does_not_exist_is_named_with_those_that_do(shop: Shop) -> None:
    with pytest.raises(CannotTell, match="there is no campaign 'other'; there is none yet"):
        collect(shop.settings, Question("other", "u1"))
    active(shop, "films")
    with pytest.raises(CannotTell, match="there is no campaign 'other'; there are: films"):
        collect(shop.settings, Question("other", "u1"))


def test_a_campaign_that_is_not_active_says_what_it_is(shop: Shop) -> None:
    shop.add_campaign(shop.add_version(), "films")
    with pytest.raises(CannotTell, match="campaign films is CREATE PENDING; it answers once it is ACTIVE"):
        collect(shop.settings, Question("films", "u1"))


def test_an_item_that_training_did_not_have_is_named(shop: Shop) -> None:
    active(shop, "films")
    with pytest.raises(CannotTell, match="does not know item 'nothing'"):
        collect(shop.settings, Question("films", "u1", "nothing"))


def test_related_items_need_an_item(shop: Shop) -> None:
    active(shop, "sims", **NEIGHBOURS)
    with pytest.raises(CannotTell, match="name one after the user"):
        collect(shop.settings, Question("sims", "u1"))


def test_an_answer_that_nobody_knows_is_named(shop: Shop) -> None:
    active(shop, "films")
    with pytest.raises(CannotTell, match="no answer 'RID-1' is known: answers are kept for 24 hours"):
        collect(shop.settings, Question("films", "u1", answer="RID-1"))


def test_a_user_without_history_is_told_apart(shop: Shop) -> None:
    active(shop, "films")
    found = collect(shop.settings, Question("films", "nobody"))
    assert found.events == (0, 0)
    assert [reason.how for reason in found.reasons] == ["popular"] * 5
    assert lines(found)[3] == f"   1  i0  score {found.reasons[0].score:.7f}  popular fill"


@pytest.mark.parametrize("given", ["DEVICE", "=phone", ""])
def test_a_context_without_a_key_or_a_value_is_refused(given: str) -> None:
    with pytest.raises(CannotTell, match="KEY=VALUE is needed"):
        situation([given])


def test_a_value_of_the_context_may_hold_an_equals_sign() -> None:
    assert situation(["DEVICE=a=b", "HOUR="]) == {"DEVICE": "a=b", "HOUR": ""}


def test_the_largest_gains_are_printed_and_the_rest_counted() -> None:
    events = tuple(Push("event", f"i{n}", 0.9 - n / 10) for n in range(8))
    lift = Push("exploration", "3 interactions, shown 4 times", 0.006)
    reason = Reason(2, "i1", 0.25, "explored", (*events, Push("user", "AGE < 20", 0.001), lift))
    shown = lines(Explanation("films", "arn", "USER_PERSONALIZATION", "u1", (12, 3), [reason], ["A note."]))
    assert shown[:4] == ["campaign films, arn", "user u1: 12 events in the training, 3 since", "", shown[3]]
    assert shown[3] == "   2  i1  score 0.2500000  explored"
    assert shown[4:6] == ["        +0.90  event        i0", "        +0.80  event        i1, the item itself"]
    assert "        +0.01  exploration  3 interactions, shown 4 times" in shown
    assert any(line.strip() == "and 2 smaller ones" for line in shown)
    assert shown[-1] == "A note."


def test_nothing_runs_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Settings(home=tmp_path / "home").to_env().items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(app, ["why", "films", "u1", "--context", "DEVICE=tv", "-n", "3"])
    assert told.exit_code == 1
    assert "openpersonalize up" in told.output
