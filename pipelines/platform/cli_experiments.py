"""`openpersonalize ab`: a campaign's experiment.

Verbs are options, as in `openpersonalize checks`: a campaign may be called `start` or `stop`.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import Annotated

import typer

from pipelines.platform.terminal import console, fail, one_line_errors, running
from pipelines.registry.experiments import Experiment
from pipelines.settings import Settings

app = typer.Typer()

PATIENCE = 60.0
"""Longest that `--start` waits for the workers, in seconds."""
LOOK_SECONDS = 0.2


@app.command()
def ab(
    campaign: Annotated[str, typer.Argument(help="A campaign's ARN, name or id.")],
    start: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Answer some users from this solution version too: ARN, name or id."),
    ] = None,
    share: Annotated[int, typer.Option(min=1, max=99, help="With --start: so many per cent of users.")] = 50,
    stop: Annotated[bool, typer.Option("--stop", help="End it; all users get what the campaign serves.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="End it; the campaign is updated to the other.")] = False,
    event_type: Annotated[list[str] | None, typer.Option(help="Only events of this type; may be repeated.")] = None,
    experiment: Annotated[str | None, typer.Option(metavar="ID", help="An earlier one of the campaign.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare two solution versions on a campaign's users: what each arm's users did, and how sure that is."""
    from pipelines.aws.errors import AwsError
    from pipelines.platform import ab_command as work
    from pipelines.platform.ab_views import lines
    from pipelines.platform.finding import NotFound

    if (start is not None) + stop + promote > 1:
        fail("give one of --start, --stop and --promote")
    with one_line_errors():
        settings = running()
        try:
            if start is not None:
                _wait(settings, work.start(settings, campaign, start, share))
            elif stop:
                console.print(f"stopped: {work.stop(settings, campaign).arn}", soft_wrap=True)
            elif promote:
                arn = work.promote(settings, campaign).arn
                console.print(f"promoted, the campaign is being updated: {arn}", soft_wrap=True)
            found = work.collect(settings, campaign, experiment, event_type or ())
        except NotFound as error:
            fail(str(error))
        except AwsError as error:
            fail(error.message)
        sys.stdout.write((work.as_json(found) if json else "\n".join(lines(found))) + "\n")


def _wait(settings: Settings, experiment: Experiment) -> None:
    """Until users are split, or why they are not; after PATIENCE what is seen is shown."""
    from pipelines.platform.ab_command import state

    deadline = time.monotonic() + PATIENCE
    with console.status("the runtime's workers load the version") if console.is_terminal else nullcontext():
        while experiment.started_at is None and time.monotonic() < deadline:
            experiment = state(settings, experiment)
            if experiment.failure_reason:
                fail(experiment.failure_reason)
            time.sleep(LOOK_SECONDS)
