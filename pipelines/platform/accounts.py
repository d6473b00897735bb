"""Which operating system account runs PostgreSQL, and what that account can reach.

PostgreSQL refuses to run as root. When we are root (a container, a fresh virtual machine) it runs as `postgres`,
or as `nobody` where that account does not exist; otherwise it runs as ourselves and nothing here does anything.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int
    switch: bool
    """True when it is not the account we run as, so that children must be started as it and files given to it."""

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments of `subprocess` that start a child as this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` itself (not what is in it) to the account."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can(self, mode: str, path: Path) -> bool:
        """Ask the system, as the account, `test -<mode> path`: only the kernel knows about all parents and ACLs."""
        if not self.switch:
            return os.access(path, {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}[mode])
        probe = ["/bin/sh", "-c", f'test -{mode} "$0"', str(path)]
        return subprocess.run(probe, cwd="/", check=False, **self.popen_options()).returncode == 0


def current_account() -> Account:
    """The account of this process; its name is what PostgreSQL's peer authentication sees."""
    entry = pwd.getpwuid(os.geteuid())
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=False)


def server_account() -> Account:
    """The account that PostgreSQL runs as."""
    if os.geteuid() != 0:
        return current_account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
    raise LookupError("root cannot run PostgreSQL and there is neither an account 'postgres' nor 'nobody': create one")
