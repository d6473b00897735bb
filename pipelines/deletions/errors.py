"""Why a data deletion job cannot go on."""

from __future__ import annotations


class DeletionRefused(Exception):
    """What was asked for is at fault, so a retry cannot help; the text becomes `failureReason`. It names no user."""


class DeletionIncomplete(Exception):
    """Something could not be cleaned; the text says what, and what to do. It names no user."""
