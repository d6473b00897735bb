"""A Git worktree while one job runs in it, and the only way in which jobs commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.repository.environment import dvc
from pipelines.repository.errors import RepositoryError
from pipelines.repository.processes import OnLine, capture, log, stream

PARAMS = "params.yaml"


class Worktree:
    """A checked-out branch of a group's repository. Made by `GroupRepository.worktree` only."""

    def __init__(
        self, path: Path, env: Mapping[str, str], descriptors: Sequence[int], tag: Callable[[str], None]
    ) -> None:
        self.path = path
        self.env = dict(env)
        self._descriptors = tuple(descriptors)
        self._tag = tag

    def git(self, *args: str, stdin: bytes = b"") -> str:
        """Run git here and return what it printed."""
        return capture(["git", *args], cwd=self.path, env=self.env, stdin=stdin).decode().strip()

    def dvc(
        self, *commands: Sequence[str], on_line: OnLine = log.info, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Run dvc commands here, in one process, until one fails; returns the last lines.

        Output is streamed to `on_line`; `env` adds variables, such as thread counts.
        """
        return stream(
            dvc(*commands),
            cwd=self.path,
            env={**self.env, **(env or {})},
            on_line=on_line,
            descriptors=self._descriptors,
        )

    def write_params(self, params: Mapping[str, Any]) -> None:
        """Write params.yaml as a new file.

        In place it could keep the checkout's second and length, and then `git add` takes it for unchanged: the
        tag would hold the parameters of another version.
        """
        write_text(self.path / PARAMS, dump_yaml(params))

    def record(
        self,
        message: str,
        tag: str,
        *commands: Sequence[str],
        on_line: OnLine = log.info,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run dvc `commands`, push what they made, then commit everything here and tag it.

        A tag therefore names only what the remote has, and exactly what lies here: dvc must see no change that no
        stage made, and every committed file must have the bytes of the worktree's. A retrain without any change
        is a commit too. An attempt that was killed is repeated from the start, so the tag moves to the newest.
        Raises CommandFailed or RepositoryError.
        """
        self.dvc(*commands, ["status", "--quiet"], ["push"], on_line=on_line, env=env)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self._assert_committed("HEAD")
        self._tag(tag)
        self._assert_committed(tag)

    def _assert_committed(self, revision: str) -> None:
        """Every file of `revision` has the bytes that lie in the worktree."""
        listed = {}
        for line in self.git("ls-tree", "-r", "-z", revision).split("\0"):
            if line:
                meta, _, name = line.partition("\t")
                listed[name] = meta.split()[2]
        names = "\n".join(listed).encode() + b"\n"
        actual = self.git("hash-object", "--no-filters", "--stdin-paths", stdin=names).splitlines()
        wrong = [name for name, digest in zip(listed, actual, strict=True) if listed[name] != digest]
        if wrong:
            raise RepositoryError(f"{revision} does not hold what lies in the worktree: {', '.join(wrong)}")


def dump_yaml(value: Mapping[str, Any]) -> str:
    """YAML in the order given, so that the same parameters are the same bytes."""
    import yaml

    return str(yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, default_flow_style=False))


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a new file with `text`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
