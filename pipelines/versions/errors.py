"""Why a solution version cannot be made."""

from __future__ import annotations


class VersionFailed(Exception):
    """The data or the configuration is at fault, so a retry cannot help; the text becomes `failureReason`."""


class VersionGone(VersionFailed):
    """The version or its solution was deleted, or it has already ended."""


class VersionStopped(VersionGone):
    """A client has stopped the making of the version; nothing has failed."""


class DeploymentFailed(Exception):
    """The campaign goes on with what it served; the text says why it could not move."""
