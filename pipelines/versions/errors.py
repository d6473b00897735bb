"""Why a solution version cannot be made."""

from __future__ import annotations


class VersionFailed(Exception):
    """The data or the configuration is at fault, so a retry cannot help; the text becomes `failureReason`."""


class VersionGone(VersionFailed):
    """The version or its solution was deleted, or it has already ended."""
