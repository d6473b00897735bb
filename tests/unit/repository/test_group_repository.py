"""The repository of a dataset group, on real git and DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.repository import CommandFailed, GroupRepository, RepositoryError, Worktree
from pipelines.repository.locks import locked, locked_if_free
from pipelines.settings import Settings

STAGES = textwrap.dedent(
    """
    stages:
      make:
        cmd: python make.py
        deps: [data/inputs/interactions]
        params: [dim]
        outs: [data/model]
        metrics:
          - metrics.json: {cache: false}
    """
)
MAKE = textwrap.dedent(
    """
    import json, pathlib, yaml
    dim = yaml.safe_load(open("params.yaml"))["dim"]
    rows = pathlib.Path("data/inputs/interactions/part").read_text()
    pathlib.Path("data/model").mkdir()
    pathlib.Path("data/model/weights").write_text(rows * dim)
    json.dump({"dim": dim}, open("metrics.json", "w"))
    """
)


@pytest.fixture
def repository(tmp_path: Path) -> GroupRepository:
    settings = Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "remote"))
    return GroupRepository(settings, "0123456789abcdef")


def snapshot(at: Path, content: str) -> Path:
    at.mkdir(parents=True)
    (at / "part").write_text(content)
    return at


def commit(repository: GroupRepository, tmp_path: Path, job: str, content: str) -> str:
    tag = f"data/d1/{job}"
    repository.commit_snapshot("d1", snapshot(tmp_path / "work" / job, content), tag, f"Import {job}")
    return tag


def train(repository: GroupRepository, solution: str, version: str, data_tag: str, dim: int) -> str:
    """What a version does, with a stage of two lines."""
    tag = f"sv/{solution}/{version}"
    with repository.worktree(f"solution/{solution}", version) as tree:
        link_input(repository, tree, data_tag)
        (tree.path / "dvc.yaml").write_text(STAGES)
        (tree.path / "make.py").write_text(MAKE)
        tree.write_params({"dim": dim})
        tree.record(f"Version {version}", tag, ["checkout", "data/inputs/interactions.dvc"], ["repro"])
    return tag


def link_input(repository: GroupRepository, tree: Worktree, data_tag: str) -> None:
    pointer = repository.pointer(data_tag, "snapshot")
    inputs = tree.path / "data" / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"  {key}: {value}\n" for key, value in pointer.items())
    (inputs / "interactions.dvc").write_text("outs:\n- path: interactions\n" + lines)
    (inputs / ".gitignore").write_text("/interactions\n")


def test_a_snapshot_is_tagged_pushed_and_read_back(repository: GroupRepository, tmp_path: Path) -> None:
    tag = commit(repository, tmp_path, "j1", "one")
    repository.materialise(tag, "snapshot", tmp_path / "out")
    assert (tmp_path / "out" / "part").read_text() == "one"
    assert not (tmp_path / "work" / "j1").exists()
    assert not os.access(tmp_path / "out" / "part", os.W_OK) or os.getuid() == 0
    assert (tmp_path / "out" / "part").stat().st_mode & 0o222 == 0


def test_an_old_snapshot_comes_back_from_the_remote_when_the_cache_is_gone(
    repository: GroupRepository, tmp_path: Path
) -> None:
    first = commit(repository, tmp_path, "j1", "one")
    commit(repository, tmp_path, "j2", "two")
    shutil.rmtree(repository.layout.cache)
    repository.materialise(first, "snapshot", tmp_path / "out")
    assert (tmp_path / "out" / "part").read_text() == "one"


def test_materialise_says_what_is_missing_and_overwrites_nothing(repository: GroupRepository, tmp_path: Path) -> None:
    tag = commit(repository, tmp_path, "j1", "one")
    with pytest.raises(RepositoryError, match="does not have data/artefact"):
        repository.materialise(tag, "data/artefact", tmp_path / "out")
    with pytest.raises(RepositoryError, match="has no data/d1/other"):
        repository.materialise("data/d1/other", "snapshot", tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(RepositoryError, match="exists already"):
        repository.materialise(tag, "snapshot", tmp_path / "out")


def test_an_output_of_a_stage_is_read_back_from_its_tag(repository: GroupRepository, tmp_path: Path) -> None:
    tag = train(repository, "s1", "v1", commit(repository, tmp_path, "j1", "ab"), 2)
    repository.materialise(tag, "data/model", tmp_path / "model")
    assert (tmp_path / "model" / "weights").read_text() == "abab"
    assert repository.show(tag, "metrics.json") == b'{"dim": 2}'
    assert not repository.layout.job("v1").exists()
    assert list(repository.layout.git_dir.glob("worktrees/*")) == []


def test_params_of_the_same_second_and_length_are_committed(repository: GroupRepository, tmp_path: Path) -> None:
    """The trap of notes: rewritten in place, `git add` would keep the parameters of the version before."""
    data = commit(repository, tmp_path, "j1", "ab")
    for dim in (11, 22):
        tag = train(repository, "s1", f"v{dim}", data, dim)
        assert repository.show(tag, "params.yaml") == f"dim: {dim}\n".encode()


def test_a_retrain_without_changes_is_a_version_too(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    tags = [train(repository, "s1", version, data, 2) for version in ("v1", "v2")]
    commits = {repository._git("rev-parse", tag) for tag in tags}
    assert len(commits) == 2


def test_a_commit_that_misses_a_file_gets_no_tag(repository: GroupRepository, tmp_path: Path) -> None:
    with repository.worktree("solution/s1", "v1") as tree:
        tree.write_params({"dim": 1})
        tree.git("add", "--all")
        tree.git("update-index", "--assume-unchanged", "params.yaml")
        tree.write_params({"dim": 2})
        with pytest.raises(RepositoryError, match=r"does not hold what lies in the worktree: params\.yaml"):
            tree.record("Version", "sv/s1/v1")
    assert repository._git("tag", "--list") == ""


def test_a_stage_output_changed_behind_dvc_is_not_committed(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    with repository.worktree("solution/s1", "v1") as tree:
        link_input(repository, tree, data)
        (tree.path / "dvc.yaml").write_text(STAGES)
        (tree.path / "make.py").write_text(MAKE)
        tree.write_params({"dim": 1})
        tree.dvc(["checkout", "data/inputs/interactions.dvc"], ["repro"])
        tree.write_params({"dim": 2})
        with pytest.raises(CommandFailed, match="`dvc status --quiet` ended with exit code 1"):
            tree.record("Version", "sv/s1/v1")
    assert repository._git("tag", "--list", "sv/*") == ""


def test_three_jobs_of_one_group_run_at_once(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(train, repository, f"s{n}", f"v{n}", data, n) for n in (1, 2, 3)]
        tags = [job.result(timeout=240) for job in jobs]
    assert [repository.show(tag, "params.yaml") for tag in tags] == [b"dim: 1\n", b"dim: 2\n", b"dim: 3\n"]


def test_two_jobs_on_one_branch_queue(repository: GroupRepository) -> None:
    with repository.worktree("solution/s1", "v1"), locked_if_free(repository.layout.lock("branch.solution/s1")) as free:
        assert not free
    with locked_if_free(repository.layout.lock("branch.solution/s1")) as free:
        assert free


def test_a_job_killed_at_work_leaves_nothing_in_the_way(repository: GroupRepository, tmp_path: Path) -> None:
    """kill -9 in the middle of a stage: the orphaned stage, the worktree and Git's lock files are cleared."""
    data = commit(repository, tmp_path, "j1", "ab")
    settings = Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "remote"))
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from pipelines.repository import GroupRepository
        from pipelines.settings import Settings
        repository = GroupRepository(Settings(home=Path({str(settings.home)!r}),
                                              dvc_remote={settings.dvc_remote!r}), "0123456789abcdef")
        with repository.worktree("solution/s1", "v1") as tree:
            (tree.path / "dvc.yaml").write_text("stages: {{wait: {{cmd: 'echo started; sleep 600'}}}}")
            tree.write_params({{"dim": 9}})
            tree.dvc(["repro"], on_line=lambda line: print(line, flush=True))
        """
    )
    job = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    for line in job.stdout:
        if line.strip() == "started":
            break
    job.kill()
    job.wait()
    admin = repository.layout.git_dir / "worktrees" / "v1"
    assert repository.layout.job("v1").is_dir() and admin.is_dir()
    (admin / "index.lock").touch()
    (admin / "locked").write_text("initializing")
    (repository.layout.git_dir / "refs" / "heads" / "solution").mkdir(exist_ok=True)
    (repository.layout.git_dir / "refs" / "heads" / "solution" / "s1.lock").touch()
    tag_lock = repository.layout.git_dir / "refs" / "tags" / "sv" / "s1" / "v1.lock"
    tag_lock.parent.mkdir(parents=True)
    tag_lock.touch()

    assert train(repository, "s1", "v1", data, 3) == "sv/s1/v1"
    assert repository.show("sv/s1/v1", "params.yaml") == b"dim: 3\n"


def test_a_dead_jobs_worktree_does_not_block_the_next_version(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    repository._add("solution/s1", "dead", ())
    train(repository, "s1", "v2", data, 2)
    assert not repository.layout.job("dead").exists()


def test_what_an_interrupted_command_started_is_ended(repository: GroupRepository, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.strip() == "started":
            raise KeyboardInterrupt

    with repository.worktree("solution/s1", "v1") as tree:
        command = f"echo $$ > {tmp_path}/pid; echo started; sleep 600"
        (tree.path / "dvc.yaml").write_text(f"stages: {{wait: {{cmd: '{command}'}}}}")
        with pytest.raises(KeyboardInterrupt):
            tree.dvc(["repro"], on_line=stop)
    pid = int((tmp_path / "pid").read_text())
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_failing_command_is_raised_with_its_last_lines(repository: GroupRepository) -> None:
    with repository.worktree("solution/s1", "v1") as tree:
        (tree.path / "dvc.yaml").write_text("stages: {fail: {cmd: 'echo the reason; exit 3'}}")
        with pytest.raises(CommandFailed, match=r"(?s)^`dvc repro` ended with exit code 255: .*the reason"):
            tree.dvc(["repro"])


def test_a_persons_git_configuration_changes_nothing(
    repository: GroupRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home-of-a-person").mkdir()
    (tmp_path / "home-of-a-person" / ".gitconfig").write_text("[commit]\n\tgpgSign = true\n[user]\n\tname = Someone\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home-of-a-person"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    with repository.worktree("solution/s1", "v1") as tree:
        tree.write_params({"dim": 1})
        tree.record("Version", "sv/s1/v1")
        assert tree.git("log", "-1", "--format=%an") == "OpenPersonalize"


def test_a_second_clone_has_its_own_empty_cache(repository: GroupRepository, tmp_path: Path) -> None:
    """The fourth door: git clone, check out a tag, dvc pull, dvc repro --force, the same bytes."""
    data = commit(repository, tmp_path, "j1", "ab")
    tag = train(repository, "s1", "v1", data, 2)
    clone = tmp_path / "clone"
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"

    def run(*command: str) -> None:
        subprocess.run(command, cwd=clone if clone.exists() else tmp_path, env=env, check=True, capture_output=True)

    run("git", "clone", "--quiet", str(repository.layout.git_dir), str(clone))
    run("git", "checkout", "--quiet", tag)
    run(sys.executable, "-m", "dvc", "pull", "data/inputs/interactions.dvc")
    assert not (clone / "data" / "model").exists()
    run(sys.executable, "-m", "dvc", "repro", "--force")
    run("git", "diff", "--exit-code", tag)
    assert (clone / "data" / "model" / "weights").read_text() == "abab"


def test_forgetting_a_solution_removes_its_branch_and_tags_only(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    for solution in ("s1", "s2"):
        train(repository, solution, f"v-{solution}", data, 2)
    repository.forget("solution/s1", "sv/s1")
    refs = repository._git("for-each-ref", "--format=%(refname:short)").splitlines()
    assert refs == ["data/d1", "main", "solution/s2", "data/d1/j1", "sv/s2/v-s2"]


def test_deleting_a_group_removes_files_and_remote_and_twice_is_fine(
    repository: GroupRepository, tmp_path: Path
) -> None:
    commit(repository, tmp_path, "j1", "ab")
    repository.delete()
    repository.delete()
    assert not repository.layout.root.exists()
    assert not Path(repository.layout.remote_url).exists()
    assert list(repository.layout.root.parent.iterdir()) == []


def stored(folder: Path) -> int:
    """How many objects lie in a cache or remote."""
    return sum(file.is_file() for file in (folder / "files").rglob("*"))


def test_collecting_waits_for_no_job_and_keeps_every_version(repository: GroupRepository, tmp_path: Path) -> None:
    data = commit(repository, tmp_path, "j1", "ab")
    old, new = (train(repository, "s1", f"v{dim}", data, dim) for dim in (1, 2))
    train(repository, "s2", "v3", data, 3)
    remote = Path(repository.layout.remote_url)
    cached, pushed = stored(repository.layout.cache), stored(remote)
    with locked(repository.layout.lock("jobs"), shared=True):
        assert not repository.collect()
    (repository.layout.job("dead")).mkdir(parents=True)
    assert repository.collect()
    assert not repository.layout.job("dead").exists()
    # The older version left the cache, not the remote; it comes back from there.
    assert stored(repository.layout.cache) < cached and stored(remote) == pushed
    repository.materialise(old, "data/model", tmp_path / "old")
    repository.materialise(new, "data/model", tmp_path / "new")
    assert [(tmp_path / name / "weights").read_text() for name in ("old", "new")] == ["ab", "abab"]
    # What nothing names any more leaves the remote too.
    repository.forget("solution/s2", "sv/s2")
    assert repository.collect()
    assert stored(remote) < pushed
    assert train(repository, "s1", "v4", data, 4) == "sv/s1/v4"
