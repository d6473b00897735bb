"""Which database a platform uses: the one it was given, or its own embedded server."""

from __future__ import annotations

from dataclasses import replace

from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.settings import Settings


def embedded_server(settings: Settings) -> EmbeddedPostgres | None:
    """The platform's own server, None when OPENPERSONALIZE_DATABASE_URL names another; raises ClusterError."""
    return None if settings.database_url else EmbeddedPostgres.for_home(settings.home)


def with_database(settings: Settings, server: EmbeddedPostgres | None) -> Settings:
    """Settings whose `database_url` is filled in."""
    return replace(settings, database_url=server.url()) if server else settings
