"""The commands of `openpersonalize` about access: who may call, and who did."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from pipelines.aws.access import Role
from pipelines.platform.terminal import console, fail, one_line_errors, running

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Access keys that requests are signed with: list, add, revoke.")
app.add_typer(keys, name="keys")


@keys.command("list")
def list_keys() -> None:
    """Show every access key: name, role, when it was made and last used (to a minute)."""
    from pipelines.platform.keys_command import every, lines

    with one_line_errors():
        sys.stdout.write("\n".join(lines(every(running()))) + "\n")


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
) -> None:
    """Make an access key; it works at once, and its secret is shown this once."""
    from pipelines.platform.keys_command import KeyRefused
    from pipelines.platform.keys_command import add as make

    with one_line_errors():
        try:
            key = make(running(), name, role)
        except KeyRefused as error:
            fail(str(error))
        # Not through rich, which would wrap what is meant to be pasted.
        sys.stdout.write(f"export AWS_ACCESS_KEY_ID={key.id}\nexport AWS_SECRET_ACCESS_KEY={key.secret}\n")


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Of `openpersonalize keys list`.")]) -> None:
    """End an access key for good, in every process within two seconds."""
    from pipelines.platform.keys_command import KeyRefused
    from pipelines.platform.keys_command import revoke as end

    with one_line_errors():
        try:
            name = end(running(), key_id)
        except KeyRefused as error:
            fail(str(error))
        console.print(f"revoked {key_id} ({name})", markup=False)


@app.command()
def audit(
    since: Annotated[str, typer.Option(metavar="TIME", help="90m, 24h, 7d ago, or 2026-01-31T23:59.")] = "24h",
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only of the key with this id or name.")] = None,
) -> None:
    """Print every call that changed something or was refused: key, operation, resource, outcome; a line of JSON each."""
    from pipelines.platform.audit_command import BadTime, lines, moment

    with one_line_errors():
        try:
            begin = moment(since, datetime.now(UTC))
        except BadTime as error:
            fail(str(error))
        for line in lines(running(), begin, key):
            sys.stdout.write(line + "\n")
