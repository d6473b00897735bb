"""The three boto3 clients, pointed at this platform: what `openpersonalize demo` and the tests speak through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.settings import Settings

HOST = "http://127.0.0.1"


def endpoints(settings: Settings) -> dict[str, str]:
    """`{service name: URL}` of the endpoints that `up` prints."""
    runtime = f"{HOST}:{settings.runtime_port}"
    return {
        "personalize": f"{settings.airflow}/personalize",
        "personalize-runtime": runtime,
        "personalize-events": runtime,
    }


@dataclass(frozen=True)
class Clients:
    """boto3 clients of one platform, signed with its first access key."""

    personalize: Any
    runtime: Any
    events: Any
    region: str
    account_id: str

    @classmethod
    def of(cls, settings: Settings) -> Clients:
        """Clients with the access key that the platform generated or was given."""
        import boto3

        key_id, secret = next(iter(settings.access_keys.items()))
        session = boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret, region_name=settings.region)
        made = {name: session.client(name, endpoint_url=url) for name, url in endpoints(settings).items()}
        return cls(
            personalize=made["personalize"],
            runtime=made["personalize-runtime"],
            events=made["personalize-events"],
            region=settings.region,
            account_id=settings.account_id,
        )

    def arn(self, resource_type: str, name: str) -> str:
        """The ARN that a resource of this name has or will have."""
        return f"arn:aws:personalize:{self.region}:{self.account_id}:{resource_type}/{name}"

    def describe(self, kind: str, arn: str) -> dict[str, Any]:
        """The resource of AWS's shape name `kind` ("SolutionVersion"), as its Describe operation answers."""
        key = kind[0].lower() + kind[1:]
        operation = "describe" + "".join(f"_{c.lower()}" if c.isupper() else c for c in kind)
        resource: dict[str, Any] = getattr(self.personalize, operation)(**{f"{key}Arn": arn})[key]
        return resource
