"""Settings of one platform, read in one place from the environment.

Every process (the API inside Airflow, a task, the runtime, the reconciler, the command line) calls
`Settings.from_env()`; the supervisor hands its own values down, so all of them agree. Nothing here touches
the disk except `access_keys`, which reads the generated pair when none was given.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.quotas import AS_AWS, Quotas

# Unlike AWS, access: a platform is one account in one region, both by settings. Whoever needs more starts more
# platforms; two homes and other ports are enough.
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT_ID = "123456789012"
SHORTEST_KEYS_SECRET = 32
_DIGITS = re.compile("[0-9]{1,12}")
_REGION = re.compile("[a-z0-9-]{1,63}")


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names the variable and the rule."""


@dataclass(frozen=True)
class Settings:
    """Where one platform lives and what it answers to."""

    home: Path
    """Everything that must survive a restart lies under it (OPENPERSONALIZE_HOME, default ./var)."""
    # Unlike AWS, access: what answers listens on 127.0.0.1 and speaks HTTP without TLS. A reverse proxy in front brings TLS
    # and decides who reaches it.
    control_port: int = 8080
    """Airflow's UI and, under /personalize, the control plane (OPENPERSONALIZE_CONTROL_PORT)."""
    runtime_port: int = 3000
    """personalize-runtime and personalize-events (OPENPERSONALIZE_RUNTIME_PORT)."""
    region: str = DEFAULT_REGION
    """Of ARNs and signatures (OPENPERSONALIZE_REGION)."""
    account_id: str = DEFAULT_ACCOUNT_ID
    """Of ARNs, 12 digits (OPENPERSONALIZE_ACCOUNT_ID)."""
    database_url: str = field(default="", repr=False)
    """`postgresql://…`, one database for Airflow (schema public) and for us (schema openpersonalize).

    OPENPERSONALIZE_DATABASE_URL; empty means the embedded server, whose URL the supervisor fills in."""
    import_roots: tuple[Path, ...] = ()
    """Folders that file:// imports may read: home/data and OPENPERSONALIZE_IMPORT_ROOTS (separated by `:`)."""
    dvc_remote: str = ""
    """A folder or s3://bucket/prefix that versions are pushed to (OPENPERSONALIZE_DVC_REMOTE; default home/remote)."""
    git_remote: str = field(default="", repr=False)
    """A Git repository through which tasks on several machines share tags (OPENPERSONALIZE_GIT_REMOTE): a folder or URL.

    Empty, the tasks run on one machine, whose disk has everything; see pipelines/repository/shared.py."""
    allowed_fall: float = 0.1
    """By what share NDCG@25 of a new version may be lower than that of the deployed one and it still rolls out by
    itself, 0 to 1; 1 never asks anybody (OPENPERSONALIZE_ALLOWED_FALL). Why 10 %: pipelines/versions/rollout.py."""
    quotas: Quotas = AS_AWS
    """How many resources there may be (OPENPERSONALIZE_QUOTAS): AWS's numbers unless changed by name, or `off`."""
    airflow_url: str = ""
    """A company's own Airflow as a browser reaches it (OPENPERSONALIZE_AIRFLOW_URL); empty: the one that `up` starts."""
    airflow_user: str = ""
    """Who starts DAG runs there (OPENPERSONALIZE_AIRFLOW_USER), with OPENPERSONALIZE_AIRFLOW_PASSWORD."""
    airflow_password: str = field(default="", repr=False)
    airflow_token_file: str = ""
    """Instead of both a file with a bearer token, read anew when Airflow refuses it (OPENPERSONALIZE_AIRFLOW_TOKEN_FILE)."""
    given_access_keys: str = field(default="", repr=False)
    """OPENPERSONALIZE_ACCESS_KEYS as given: `ID:SECRET[,ID:SECRET]`."""
    given_keys_secret: str = field(default="", repr=False)
    """OPENPERSONALIZE_KEYS_SECRET: of what the secrets of `openpersonalize keys` are made, where machines share no disk."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read OPENPERSONALIZE_*; raises SettingsError for a value that cannot be used."""
        env = os.environ if env is None else env
        home = Path(env.get("OPENPERSONALIZE_HOME") or "var").expanduser().absolute()
        return cls(
            home=home,
            control_port=_port(env, "OPENPERSONALIZE_CONTROL_PORT", 8080),
            runtime_port=_port(env, "OPENPERSONALIZE_RUNTIME_PORT", 3000),
            region=_region(env.get("OPENPERSONALIZE_REGION") or DEFAULT_REGION),
            account_id=_account(env.get("OPENPERSONALIZE_ACCOUNT_ID") or DEFAULT_ACCOUNT_ID),
            database_url=env.get("OPENPERSONALIZE_DATABASE_URL", ""),
            import_roots=_import_roots(home, env.get("OPENPERSONALIZE_IMPORT_ROOTS", "")),
            dvc_remote=env.get("OPENPERSONALIZE_DVC_REMOTE") or str(home / "remote"),
            git_remote=_git_remote(env),
            airflow_url=_airflow_url(env.get("OPENPERSONALIZE_AIRFLOW_URL", "")),
            airflow_user=env.get("OPENPERSONALIZE_AIRFLOW_USER", ""),
            airflow_password=env.get("OPENPERSONALIZE_AIRFLOW_PASSWORD", ""),
            airflow_token_file=env.get("OPENPERSONALIZE_AIRFLOW_TOKEN_FILE", ""),
            allowed_fall=_share(env, "OPENPERSONALIZE_ALLOWED_FALL", 0.1),
            quotas=_quotas(env.get("OPENPERSONALIZE_QUOTAS", "")),
            given_access_keys=env.get("OPENPERSONALIZE_ACCESS_KEYS", ""),
            given_keys_secret=_keys_secret(env.get("OPENPERSONALIZE_KEYS_SECRET", "")),
        )

    @property
    def airflow(self) -> str:
        """Where Airflow's pages and its REST API are, and below /personalize the control plane."""
        return self.airflow_url or f"http://127.0.0.1:{self.control_port}"

    # What lies where under the home -------------------------------------------------------------

    @property
    def secrets_dir(self) -> Path:
        """0700; files in it 0600."""
        return self.home / "secrets"

    @property
    def groups_dir(self) -> Path:
        """One folder a dataset group: repo.git, cache, jobs (see pipelines/versions)."""
        return self.home / "groups"

    @property
    def bento_home(self) -> Path:
        """BENTOML_HOME: a view of the versions that can be rebuilt from the DVC remote."""
        return self.home / "bentoml"

    @property
    def imports_dir(self) -> Path:
        """One folder an import job: its report.html, rejects.parquet and, while it runs, its work files."""
        return self.home / "imports"

    @property
    def deletions_dir(self) -> Path:
        """One folder a data deletion job: its report.html and, while it runs, the list of users (0700)."""
        return self.home / "deletions"

    @property
    def exports_dir(self) -> Path:
        """One folder an export job while it runs."""
        return self.home / "exports"

    @property
    def batch_dir(self) -> Path:
        """One folder a batch job while it runs: its input, and its output as far as it has come."""
        return self.home / "batch"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def run_dir(self) -> Path:
        """Pid files, the supervisor's socket, state that a reboot may lose."""
        return self.home / "run"

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    # Access keys -----------------------------------------------------------------------------------

    @property
    def access_keys(self) -> dict[str, str]:
        """`{access key id: secret}` that requests may be signed with; raises SettingsError."""
        given = self.given_access_keys or self.access_keys_file.read_text()
        keys = {}
        for pair in given.replace("\n", ",").split(","):
            if not pair.strip():
                continue
            key_id, colon, secret = pair.strip().partition(":")
            if not (key_id and colon and secret):
                raise SettingsError("OPENPERSONALIZE_ACCESS_KEYS must be ID:SECRET[,ID:SECRET]")
            keys[key_id] = secret
        if not keys:
            raise SettingsError("OPENPERSONALIZE_ACCESS_KEYS holds no key")
        return keys

    @property
    def access_keys_file(self) -> Path:
        """The generated pair, one `ID:SECRET` line, mode 0600, written once by `openpersonalize up`."""
        return self.secrets_dir / "access_keys"

    @property
    def keys_secret(self) -> str:
        """What the secrets of the registry's keys are made of (pipelines/aws/access.py); empty: there is none here."""
        if self.given_keys_secret or self.airflow_url:
            return self.given_keys_secret
        file = self.keys_secret_file
        return file.read_text().strip() if file.exists() else ""

    @property
    def keys_secret_file(self) -> Path:
        """The generated one, mode 0600, written once by `openpersonalize up`."""
        return self.secrets_dir / "keys_secret"

    # What children are started with -----------------------------------------------------------------

    def to_env(self) -> dict[str, str]:
        """The OPENPERSONALIZE_* variables that make `from_env` give these settings in a child process."""
        env = {
            "OPENPERSONALIZE_HOME": str(self.home),
            "OPENPERSONALIZE_CONTROL_PORT": str(self.control_port),
            "OPENPERSONALIZE_RUNTIME_PORT": str(self.runtime_port),
            "OPENPERSONALIZE_REGION": self.region,
            "OPENPERSONALIZE_ACCOUNT_ID": self.account_id,
            "OPENPERSONALIZE_DATABASE_URL": self.database_url,
            "OPENPERSONALIZE_IMPORT_ROOTS": os.pathsep.join(map(str, self.import_roots)),
            "OPENPERSONALIZE_DVC_REMOTE": self.dvc_remote,
            "OPENPERSONALIZE_ALLOWED_FALL": str(self.allowed_fall),
            "OPENPERSONALIZE_GIT_REMOTE": self.git_remote,
            "OPENPERSONALIZE_QUOTAS": str(self.quotas),
            "OPENPERSONALIZE_AIRFLOW_URL": self.airflow_url,
            "OPENPERSONALIZE_AIRFLOW_USER": self.airflow_user,
            "OPENPERSONALIZE_AIRFLOW_PASSWORD": self.airflow_password,
            "OPENPERSONALIZE_AIRFLOW_TOKEN_FILE": self.airflow_token_file,
        }
        if self.given_access_keys:
            env["OPENPERSONALIZE_ACCESS_KEYS"] = self.given_access_keys
        if self.given_keys_secret:
            env["OPENPERSONALIZE_KEYS_SECRET"] = self.given_keys_secret
        return env


# What keeps every dependency from phoning home; part of the environment of each process we start.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "BENTOML_DO_NOT_TRACK": "True",
    "DVC_NO_ANALYTICS": "1",
    "DVC_STUDIO_OFFLINE": "1",
    "GX_ANALYTICS_ENABLED": "false",
}


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name}={text!r} is not a port between 1 and 65535")
    return int(text)


def _share(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise SettingsError(f"{name}={text!r} is not a share between 0 and 1, like 0.1 for 10 %")
    return share


def _import_roots(home: Path, given: str) -> tuple[Path, ...]:
    roots = [home / "data", *(Path(p).expanduser().absolute() for p in given.split(os.pathsep) if p)]
    return tuple(dict.fromkeys(roots))


def _git_remote(env: Mapping[str, str]) -> str:
    given = env.get("OPENPERSONALIZE_GIT_REMOTE", "")
    if given and not env.get("OPENPERSONALIZE_DVC_REMOTE"):
        raise SettingsError(
            "OPENPERSONALIZE_GIT_REMOTE is for tasks that share no disk, so data needs a place that all of them reach: "
            "set OPENPERSONALIZE_DVC_REMOTE too, to s3://bucket/prefix or a folder that is mounted everywhere"
        )
    return given


def _airflow_url(given: str) -> str:
    if given and not given.startswith(("http://", "https://")):
        raise SettingsError(f"OPENPERSONALIZE_AIRFLOW_URL={given!r} must begin with http:// or https://")
    return given.rstrip("/")


def _quotas(text: str) -> Quotas:
    try:
        return Quotas.read(text)
    except ValueError as refused:
        raise SettingsError(f"OPENPERSONALIZE_QUOTAS: {refused}") from None


def _keys_secret(text: str) -> str:
    if text and len(text) < SHORTEST_KEYS_SECRET:
        raise SettingsError(
            f"OPENPERSONALIZE_KEYS_SECRET has fewer than {SHORTEST_KEYS_SECRET} characters: make it random"
        )
    return text


def _account(text: str) -> str:
    if len(text) != 12 or not _DIGITS.fullmatch(text):
        raise SettingsError(f"OPENPERSONALIZE_ACCOUNT_ID={text!r} is not 12 digits")
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise SettingsError(f"OPENPERSONALIZE_REGION={text!r} is not a region's name, like {DEFAULT_REGION}")
    return text
