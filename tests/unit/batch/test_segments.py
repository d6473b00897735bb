"""Batch segment jobs on a real registry: whom a line's segment has, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.batch import files, processes, segments
from pipelines.batch.affinity import Affinity, Questions
from pipelines.batch.child import Answered
from pipelines.batch.errors import BatchRefused
from pipelines.batch.mark import Mark
from pipelines.batch.processes import Chunk
from pipelines.batch.segments import segment
from pipelines.datasets.sequences import Sequences
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, load
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.ordering import softmax
from pipelines.serving.recommender import Recommender
from pipelines.settings import Settings
from tests.support.batch import add_job, answers, look, write_lines
from tests.support.filtered_shop import ShopData
from tests.support.own_package import importable, install
from tests.support.runtime import Shop, Version

USERS = 12
ITEMS = [{"GENRES": ("Comedy|Drama", "Drama", "Horror")[n % 3], "YEAR": 1990 + n % 5} for n in range(30)]


class Within:
    """Answers chunks in this process, which takes no second to start."""

    def __init__(self, questions: str, artefact: str) -> None:
        self._affinity = Affinity(Recommender(Artefact.open(artefact)), Questions.load(Path(questions)))

    def answer(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        for chunk in chunks:
            yield chunk, self._affinity.answer(chunk.file, chunk.first, chunk.data)


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is not about processes."""

    @contextmanager
    def started(_settings: Settings, _module: str, questions: str, artefact: str, most: int) -> Iterator[Within]:
        assert most == 1
        yield Within(questions, artefact)

    monkeypatch.setattr(segments, "started", started)


@pytest.fixture
def data(settings: Settings) -> Path:
    return settings.home / "data"


def add_version(shop: Shop, recipe: str = "affinities", **more: Any) -> Version:
    """A version of somebody's own recipe unless named."""
    ages = [None if user == 3 else {"AGE": user} for user in range(USERS)]
    bought = {f"u{user}": [("i1", "Purchase")] for user in range(0, USERS, 2)} | {"u1": [("i2", "view")]}
    shop_data = ShopData(items=ITEMS, users=ages, events=bought)
    return shop.add_version(
        recipe_type="USER_SEGMENTATION",
        **{"items": len(ITEMS), "users": USERS, "filter_data": shop_data.filter_data(), **more},
        recipe=recipe,
    )


def expected(version: Version, items: list[int], among: Any = range(USERS)) -> list[str]:
    """Users by the share that the items have of what each may take next."""
    recommender = version.recommender
    shares = {n: float(softmax(recommender.logits(Asked(f"u{n}")))[items].sum()) for n in among}
    return [f"u{n}" for n in sorted(shares, key=lambda n: -shares[n])]


def run(shop: Shop, version: Version, data: Path, lines: list[Any], **doc: Any) -> list[Mapping[str, Any]]:
    write_lines(data / "in" / "a.json", lines)
    job = add_job(
        shop,
        version,
        (data / "in").as_uri(),
        (data / "out").as_uri(),
        kind="BatchSegmentJob",
        **{"numResults": 50, **doc},
    )
    segment(shop.settings, job.id)
    assert look(shop, job).status == "ACTIVE" and not (shop.settings.batch_dir / job.id).exists()
    return answers(data / "out" / "a.json.out")


@pytest.mark.usefixtures("within")
def test_a_segment_is_those_who_most_likely_take_one_of_the_items_next(shop: Shop, data: Path) -> None:
    version = add_version(shop)
    both = 'ITEMS.GENRES = "Drama" AND items.year = 1991'
    asked = [{"itemId": "i7"}, "", {"itemAttributes": both}, {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}]
    item, attributes, comedies = run(shop, version, data, asked)
    assert item == {"input": {"itemId": "i7"}, "output": {"usersList": expected(version, [7])}, "error": None}
    wanted = [n for n, one in enumerate(ITEMS) if "Drama" in one["GENRES"] and one["YEAR"] == 1991]
    assert wanted and attributes["output"]["usersList"] == expected(version, wanted)
    assert comedies["output"]["usersList"] == expected(version, list(range(0, len(ITEMS), 3)))
    assert item["output"] != attributes["output"] != comedies["output"]


@pytest.mark.usefixtures("within")
def test_a_line_that_cannot_be_answered_says_why_and_points_at_it(shop: Shop, data: Path) -> None:
    wrong = {
        "{}": "must have itemId or itemAttributes.",
        '{"itemId": "i1", "itemAttributes": "ITEMS.YEAR = 1"}': "and not both.",
        '{"itemId": "i999"}': "itemId: the version was trained without this item.",
        '{"itemId": 7}': "itemId must be a string of 1 to 256",
        '{"itemAttributes": 7}': "itemAttributes must be a string",
        '{"itemAttributes": "ITEMS.YEAR = 2050"}': "no item that the version was trained on has them",
        '{"itemAttributes": "ITEMS.COLOUR = 3"}': "at character 1: the version was trained without a column COLOUR; it can",
        '{"itemAttributes": "ITEMS.YEAR = \\"new\\""}': "at character 14: Items.YEAR is a number, and 'new' is not",
        '{"itemAttributes": "ITEMS.YEAR = 1990 OR ITEMS.YEAR = 1991"}': "at character 19: OR cannot stand here; expected AND",
        '{"itemAttributes": "ITEMS.YEAR > 1990"}': "at character 12: only = can be used, not >",
        '{"itemAttributes": "ITEMS.GENRES IN (\\"Drama\\")"}': "at character 14: IN cannot stand here; expected =",
        '{"itemAttributes": "ITEMS.ON_SALE = true"}': "ITEMS.ON_SALE is boolean",
        '{"itemAttributes": "Users.AGE = 3"}': "at character 1: only columns of ITEMS can be used, not of USERS",
        '{"itemAttributes": "ITEMS.GENRES = \\"*\\""}': 'at character 16: "*" is no value',
        '{"itemId": "i1", "filterValues": {"A": "1"}}': "the job has no filterArn",
        "nonsense": "not JSON",
    }  # fmt: skip
    found = run(shop, add_version(shop), data, [*wrong, {"itemId": "i1"}], numResults=3)
    for line, (given, words) in zip(found, wrong.items(), strict=False):
        assert line["output"] is None and words in line["error"], (given, line["error"])
    assert len(found[-1]["output"]["usersList"]) == 3


@pytest.mark.usefixtures("within")
def test_amazons_recipes_are_each_asked_by_one_thing(shop: Shop, data: Path) -> None:
    lines = [{"itemId": "i1"}, {"itemAttributes": "ITEMS.YEAR = 1990"}]
    by_item, no = run(shop, add_version(shop, "aws-item-affinity"), data, lines)
    assert by_item["output"] and no["error"] == "The line must have itemId."


@pytest.mark.usefixtures("within")
def test_filters_are_for_users_and_read_what_was_streamed(shop: Shop, data: Path) -> None:
    version = add_version(shop)
    users = shop.add_dataset(
        "USERS", {"type": "record", "name": "Users", "namespace": "n", "fields": [], "version": "1.0"}
    )
    [(dataset,)] = shop.query("SELECT id FROM openpersonalize.resources WHERE arn = %s", users)
    stream = "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, item_id, sent_at) VALUES"
    shop.query(f"{stream} (%s, 'u5', 's', 'e', 'PURCHASE', 'i1', 1), (%s, 'new', 's', 'f', 'view', 'i1', 1) RETURNING 1",
               shop.group_id, shop.group_id)  # fmt: skip
    shop.query("INSERT INTO openpersonalize.records (dataset_id, record_id, properties) VALUES (%s, 'u0', %s) RETURNING 1",
               dataset, '{"age": 70}')  # fmt: skip
    bought = [0, 2, 4, 5, 6, 8, 10]
    cases: list[tuple[str, dict[str, str], list[int]]] = [
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("purchase")', {}, bought),
        ('EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("purchase")', {}, [1, 3, 7, 9, 11]),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE NOT IN ("purchase")', {}, [1]),
        ('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("*")', {}, sorted([*bought, 1])),
        ("INCLUDE UserID WHERE Users.AGE > 5 AND Users.AGE <= $MOST", {"MOST": "8"}, [6, 7, 8]),
        ("INCLUDE UserID WHERE Users.AGE > 60", {}, [0]),
        ("EXCLUDE UserID WHERE Users.AGE < 11", {}, [0, 3, 11]),
        ('INCLUDE UserID WHERE Users.USER_ID IN ("u3", "u4") | EXCLUDE UserID WHERE Users.AGE = 4', {}, []),
    ]  # fmt: skip
    for number, (text, values, among) in enumerate(cases):
        line = {"itemId": "i7", **({"filterValues": values} if values else {})}
        filter = shop.add_filter(f"f{number}", text)
        out = data / str(number)
        [found] = run(shop, version, out, [line], name=f"job-{number}", filterArn=filter)
        assert found["output"]["usersList"] == expected(version, [7], among), text


def test_what_cannot_be_done_says_so(shop: Shop, data: Path) -> None:
    version, other = add_version(shop), add_version(shop, kind="neighbours")
    write_lines(data / "many" / "a.json", [{"itemAttributes": "ITEMS.YEAR = 1990"}] * 11)
    write_lines(data / "most" / "a.json", [{"itemId": "i1"}] * 501)
    write_lines(data / "one" / "a.json", [{"itemId": "i1"}])
    unfiltered = add_version(shop, filter_data=None)
    filter = shop.add_filter("old", "INCLUDE UserID WHERE Users.AGE > 5")
    cases: list[tuple[Version, str, dict[str, str], str]] = [
        (version, "many", {}, "a.json has 11 lines; a file has at most 500 with itemId and 10 with itemAttributes"),
        (version, "most", {}, "a.json has 501 lines; a file has at most 500 with itemId"),
        (other, "one", {}, "does not depend on the user"),
        (unfiltered, "one", {"filterArn": filter}, "train anew"),
    ]
    for number, (of, source, doc, words) in enumerate(cases):
        places = (data / source).as_uri(), (data / "out").as_uri()
        job = add_job(shop, of, *places, f"job-{number}", "BatchSegmentJob", **doc)
        with pytest.raises(BatchRefused, match=words):
            segment(shop.settings, job.id)
        assert look(shop, job).status == "CREATE FAILED" and words in (look(shop, job).failure_reason or "")


def test_a_crash_in_the_middle_does_not_show_in_the_files(
    shop: Shop, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK_LINES", 3)
    version = add_version(shop)
    lines = [{"itemId": "i7"}, {"itemAttributes": "ITEMS.YEAR = 1990"}]
    whole = run(shop, version, data, lines, name="whole")
    job = add_job(
        shop, version, (data / "in").as_uri(), (data / "torn").as_uri(), "torn", "BatchSegmentJob", numResults=50
    )
    save, asked = Mark.save, []

    def dies(self: Mark, path: Path) -> None:
        save(self, path)
        if self.line == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Mark, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        segment(shop.settings, job.id)
    monkeypatch.setattr(Mark, "save", save)
    monkeypatch.setattr(processes.Process, "answer", _counting(processes.Process.answer, asked))
    (version.directory / "manifest.json").unlink()
    write_lines(data / "in" / "a.json", [])
    segment(shop.settings, job.id)
    assert answers(data / "torn" / "a.json.out") == whole
    assert asked == [7, 10], "what was there already is not asked again"


def _counting(answer: Any, asked: list[int]) -> Any:
    def counted(self: Any, chunk: Any) -> Any:
        asked.append(chunk.first)
        return answer(self, chunk)

    return counted


def test_an_own_recipe_of_segments_is_trained_and_asked_as_any_other(tmp_path: Path) -> None:
    took = {"a": [0, 0, 1], "b": [1, 1, 1], "c": [0, 1, 1], "d": [2, 2, 2]}
    sequences = Sequences(np.arange(0, 13, 3), np.concatenate([*took.values()]).astype(np.int32), np.arange(12))
    data = TrainingData.plain(sequences, ["x", "y", "z"], list(took))
    with importable(install(tmp_path / "site", "likes = tests.support.own_segments:LIKES")):
        recipe = recipe_by_name("likes")
        assert recipe is not None
        code = load(recipe, FitSettings({}, {}))
        code.export(code.fit(data).model, data, tmp_path / "artefact", {})
    artefact = Artefact.open(tmp_path / "artefact")
    assert artefact.recipe_type == "USER_SEGMENTATION"
    asked = Affinity(Recommender(artefact), Questions.of([np.array([0]), np.array([1, 2])]))
    order = np.argsort(-np.array([asked.of(user) for user in took]), axis=0).T
    x, y_or_z = ([list(took)[user] for user in question] for question in order)
    assert (x[:2], y_or_z[2:]) == (["a", "c"], ["c", "a"])


def test_shares_too_small_for_a_number_are_no_chance(shop: Shop, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = add_version(shop)
    affinities = np.array([[-np.inf, -5.0, -1.0] + [-np.inf] * (USERS - 3)], np.float32)
    monkeypatch.setattr(segments, "_affinities", lambda *_: iter(affinities))
    [found] = run(shop, version, data, [{"itemId": "i7"}])
    assert found["output"]["usersList"] == ["u2", "u1"]
