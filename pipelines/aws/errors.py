"""Every error that AWS's clients can see, with its code and HTTP status (spec/resources.md section 1).

Raised where the cause is known, anywhere in the API and the runtime; encoded in one place, `pipelines.aws.http`.
A class is AWS's code less the suffix `Exception`.
"""

from __future__ import annotations

CONTROL = "personalize"
RUNTIME = "personalize-runtime"
EVENTS = "personalize-events"


class AwsError(Exception):
    """An answer that is not 200; `str(error)` is the message a person reads."""

    code = "InternalFailure"
    control_status = 400
    runtime_status = 400
    events_status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def status(self, service: str = CONTROL) -> int:
        """The HTTP status of this error in `service` (`personalize`, `personalize-runtime`, `personalize-events`)."""
        return {RUNTIME: self.runtime_status, EVENTS: self.events_status}.get(service, self.control_status)


class InvalidInput(AwsError):
    """A field or parameter has a value that cannot be used."""

    code = "InvalidInputException"


class ResourceNotFound(AwsError):
    """The named resource does not exist."""

    code = "ResourceNotFoundException"
    runtime_status = 404
    events_status = 404


class ResourceInUse(AwsError):
    """The resource is busy, has dependants or is in the wrong state."""

    code = "ResourceInUseException"
    events_status = 409


class ResourceAlreadyExists(AwsError):
    """The name (the ARN) is taken."""

    code = "ResourceAlreadyExistsException"


class LimitExceeded(AwsError):
    """A quota on the number of resources is used up."""

    code = "LimitExceededException"


class InvalidNextToken(AwsError):
    """The page token is not one that this list gave out."""

    code = "InvalidNextTokenException"


class TooManyTags(AwsError):
    """More tags than one resource may hold."""

    code = "TooManyTagsException"


class TooManyTagKeys(AwsError):
    """UntagResource names more keys than a resource can hold."""

    code = "TooManyTagKeysException"


class Validation(AwsError):
    """The request breaks a constraint of the service model: missing, too long, off the pattern, …"""

    code = "ValidationException"


class Serialization(AwsError):
    """The body is not JSON, or a member has the wrong JSON type."""

    code = "SerializationException"


class UnknownOperation(AwsError):
    """No such operation, or one that is not available yet."""

    code = "UnknownOperationException"
    runtime_status = 404
    events_status = 404


class _Unsigned(AwsError):
    """What is wrong with a signature: 400 on the control plane, 403 on the REST services."""

    runtime_status = 403
    events_status = 403


class MissingAuthenticationToken(_Unsigned):
    """No Authorization header."""

    code = "MissingAuthenticationTokenException"


class UnrecognizedClient(_Unsigned):
    """The access key is not one of ours."""

    code = "UnrecognizedClientException"


class InvalidSignature(_Unsigned):
    """The signature does not match the request, or the clocks are more than 15 minutes apart."""

    code = "InvalidSignatureException"


class AccessDenied(_Unsigned):
    """The key is known but may not do this."""

    code = "AccessDeniedException"


class RequestEntityTooLarge(AwsError):
    """The body is longer than any request can be."""

    code = "RequestEntityTooLargeException"
    control_status = runtime_status = events_status = 413


class ServiceUnavailable(AwsError):
    """The database cannot be reached just now; clients retry."""

    code = "ServiceUnavailableException"
    control_status = runtime_status = events_status = 503


class InternalFailure(AwsError):
    """A defect of ours: logged with its stack trace, answered without it."""

    code = "InternalFailure"
    control_status = runtime_status = events_status = 500
