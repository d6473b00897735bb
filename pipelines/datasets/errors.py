"""Why an import or an export can't go on. The text becomes the job's `failureReason`, so a person must be able to act on it."""

from __future__ import annotations


class ImportRefused(Exception):
    """The data, its place or its rights are at fault: trying again without a change can't help."""


class ExportRefused(Exception):
    """The place that an export should write to, or its rights, are at fault: trying again without a change can't help."""


class SourceUnreachable(Exception):
    """The source, or an export's target, did not answer as it should; trying again may help."""
