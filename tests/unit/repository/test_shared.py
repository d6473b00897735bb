"""Tags on several machines through one Git repository: what one has pushed all have, what one deletes none has."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pipelines.registry.database import libpq_url
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.repository.locks import locked_if_free
from pipelines.settings import Settings
from tests.support.machines import machines

GROUP, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def homes(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    return machines(settings, tmp_path / "shared")


def tag_something(repository: GroupRepository, name: str) -> str:
    """A tag of Git alone, without DVC: what is asked here is where it gets to."""
    with repository.worktree(f"some/{name}", name) as tree:
        (tree.path / "what").write_text(name)
        tree.git("add", "--all")
        tree.git("commit", "--quiet", "-m", name)
        tree._tag(f"some/{name}")
    return f"some/{name}"


def test_a_tag_that_moves_or_goes_does_so_everywhere_and_another_group_s_stay(homes: Iterator[Settings]) -> None:
    one, two = next(homes), next(homes)
    here, there, others = GroupRepository(one, GROUP), GroupRepository(two, GROUP), GroupRepository(two, OTHER)
    tags = [tag_something(here, name) for name in ("a", "b", "c")]
    tag_something(others, "a")
    assert there.tags("some") == tags
    assert there.show("some/a", "what") == b"a"
    with there.worktree("some/a", "again") as tree:
        (tree.path / "what").write_text("another")
        tree.git("add", "--all")
        tree.git("commit", "--quiet", "-m", "another")
        tree._tag("some/a")
    assert GroupRepository(one, GROUP).show("some/a", "what") == b"another"
    there.drop(["some/b"])
    assert here.tags("some") == ["some/a", "some/c"]
    here.forget("some/a", "some/a")
    assert there.tags("some") == ["some/c"]
    here.delete()
    assert not there.has("some/c")
    assert others.tags("some") == ["some/a"]


def test_what_removes_data_waits_for_jobs_on_other_machines(homes: Iterator[Settings]) -> None:
    here, there = GroupRepository(next(homes), GROUP), GroupRepository(next(homes), GROUP)
    tag_something(there, "a")
    purging = threading.Thread(target=there.purge)
    with here.worktree("some/b", "b"):
        assert not there.collect()
        purging.start()
        purging.join(timeout=0.5)
        assert purging.is_alive()
    purging.join(timeout=60)
    assert not purging.is_alive()


def test_without_the_lock_nothing_is_tagged(homes: Iterator[Settings]) -> None:
    one = next(homes)
    repository = GroupRepository(one, GROUP)
    with pytest.raises(RepositoryError, match="connection to the database was cut"):
        cut_and_tag(one, repository)
    assert repository.tags("some") == []
    with locked_if_free(repository.layout.lock("jobs")) as free:
        assert free


def cut_and_tag(settings: Settings, repository: GroupRepository) -> None:
    with repository.worktree("some/a", "a") as tree:
        with psycopg.connect(libpq_url(settings), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        tree.git("commit", "--quiet", "--allow-empty", "-m", "a")
        tree._tag("some/a")


def test_a_remote_that_refuses_is_named_without_its_token(homes: Iterator[Settings]) -> None:
    there = replace(next(homes), git_remote="https://robot:hush@127.0.0.1:1/tags.git")
    with pytest.raises(
        RepositoryError, match=r"https://127.0.0.1:1/tags.git \(OPENPERSONALIZE_GIT_REMOTE\)"
    ) as refused:
        GroupRepository(there, GROUP).has("some/a")
    assert "hush" not in str(refused.value)


def test_the_group_s_id_is_before_every_tag_that_a_person_sees(homes: Iterator[Settings]) -> None:
    one = next(homes)
    tag_something(GroupRepository(one, GROUP), "a")
    shown = subprocess.run(["git", "-C", one.git_remote, "tag"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{GROUP}/some/a\n"
