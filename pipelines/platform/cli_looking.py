"""The commands of `openpersonalize` that only look: at data, imports, versions and answers, and the rules of a group."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipelines.platform.terminal import console, fail, one_line_errors, running

app = typer.Typer()


@app.command()
def supported() -> None:
    """Print, as Markdown, what of Amazon Personalize is supported, and where we differ on purpose: SUPPORTED.md."""
    from pipelines.platform.supported_views import page

    sys.stdout.write(page())


@app.command()
def statistics(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a dataset group holds: rows, users, items, time, event types, gaps, what was streamed since."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.statistics_command import as_json, collect, lines

    with one_line_errors():
        settings = running()
        try:
            found = collect(settings, group)
        except NotFound as error:
            fail(str(error))
        sys.stdout.write((as_json(found) if json else "\n".join(lines(found))) + "\n")


@app.command()
def report(
    given: Annotated[
        str | None, typer.Argument(metavar="IMPORT", help="An import job's ARN, name or id; the newest unless given.")
    ] = None,
    rejects: Annotated[bool, typer.Option("--rejects", help="Print every rejected row as CSV instead.")] = False,
) -> None:
    """Show what came of an import: the verdict, the broken rules, the first rejects, where the report is."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.report_command import lines, rejects_csv

    with one_line_errors():
        settings = running()
        try:
            if rejects:
                sys.stdout.writelines(rejects_csv(settings, given))
            else:
                sys.stdout.write("\n".join(lines(settings, given)) + "\n")
        except NotFound as error:
            fail(str(error))


@app.command()
def checks(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="RULE=SEVERITY[,MIN..MAX]", help="critical, warning or off; numbers or per cent."
        ),
    ] = None,
    clear: Annotated[list[str] | None, typer.Option("--clear", metavar="RULE", help="Back to its default.")] = None,
) -> None:
    """Show the rules that a dataset group's imports must fulfil, or set them anew."""
    from pipelines.platform.checks_command import BadCheck, change
    from pipelines.platform.finding import NotFound

    with one_line_errors():
        try:
            shown = change(running(), group, set_ or [], clear or [])
        except (BadCheck, NotFound) as error:
            fail(str(error))
        sys.stdout.write("\n".join(shown) + "\n")


@app.command()
def metrics(
    given: Annotated[
        str,
        typer.Argument(metavar="VERSION", help="A solution version's ARN, name or id, or a solution's: its newest."),
    ],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how good a version is: AWS's metrics beside simple rules, by time, scores, cold users and items, warnings."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.metrics_command import as_json, collect
    from pipelines.platform.metrics_views import show

    with one_line_errors():
        try:
            found = collect(running(), given)
        except NotFound as error:
            fail(str(error))
        if json:
            sys.stdout.write(as_json(found) + "\n")
        else:
            show(console, found)


@app.command()
def why(
    campaign: Annotated[str, typer.Argument(help="A campaign's ARN, name or id.")],
    user: Annotated[str, typer.Argument(help="A user id, or an anonymous session's.")],
    item: Annotated[
        str | None, typer.Argument(help="Only this item; for related items, the item that the list goes with.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=500, help="So many items of the list.")] = 5,
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="The situation, as in a request.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(metavar="RECOMMENDATION_ID", help="Explain this answer of the last 24 hours.")
    ] = None,
) -> None:
    """Show why a user gets what they get: for each item the events, values and exploration that moved it most."""
    from pipelines.platform.why_command import CannotTell, Question, collect, situation
    from pipelines.platform.why_views import lines

    with one_line_errors():
        try:
            question = Question(campaign, user, item, count, situation(context or []), answer)
            found = collect(running(), question)
        except CannotTell as error:
            fail(str(error))
        sys.stdout.write("\n".join(lines(found)) + "\n")


@app.command("explore-report")
def explore_report(campaign: Annotated[str, typer.Argument(help="A campaign's ARN, name or id.")]) -> None:
    """Show what a campaign's exploration did in the last 24 hours, and what other weights would have brought."""
    from pipelines.platform.explore_command import collect
    from pipelines.platform.explore_views import lines
    from pipelines.platform.finding import NotFound

    with one_line_errors():
        try:
            found = collect(running(), campaign)
        except NotFound as error:
            fail(str(error))
        sys.stdout.write("\n".join(lines(found)) + "\n")


@app.command()
def attribution(
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="GROUP", help="A dataset group's, or a metric attribution's ARN, name or id; the newest."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only later events: 90m, 24h, 7d ago, or 2026-01-31T23:59.")
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Every window of 15 minutes, in the form of AWS's report.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tables with plots over time into an HTML file.")
    ] = None,
) -> None:
    """Show the sums of a metric attribution by source: campaigns, and what events call their source."""
    from pipelines.platform.attribution_command import as_csv, collect
    from pipelines.platform.attribution_page import render
    from pipelines.platform.attribution_views import show
    from pipelines.platform.audit_command import BadTime, moment
    from pipelines.platform.finding import NotFound
    from pipelines.repository import RepositoryError

    with one_line_errors():
        try:
            found = collect(running(), given, moment(since, datetime.now(UTC)) if since is not None else None)
            if page is not None:
                page.write_text(render(found), encoding="utf-8")
        except (BadTime, NotFound, OSError, RepositoryError) as error:
            fail(str(error))
        if csv:
            sys.stdout.write(as_csv(found))
        else:
            show(console, found)
