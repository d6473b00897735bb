"""Why a batch job can't go on."""

from __future__ import annotations


class BatchRefused(Exception):
    """Its files or what it asks for are at fault: trying again without a change can't help. Becomes `failureReason`."""
