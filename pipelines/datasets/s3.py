"""S3 through boto3: find the objects of a location, download them, upload some, and say in plain words why it can't be done.

Endpoint and credentials come from boto3's own chain (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_PROFILE, an
instance's role, …). The job's roleArn is stored and shown but not assumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.datasets.errors import ExportRefused, ImportRefused, SourceUnreachable

NO_RIGHTS = "Insufficient privileges for accessing data in Amazon S3."
DENIED = {
    "AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "AllAccessDisabled", "AccountProblem", "KMS.DisabledException", "InvalidObjectState",
}  # fmt: skip
NOWHERE = {"NoSuchBucket", "NoSuchKey", "404", "NotFound", "InvalidBucketName", "PermanentRedirect", "301"}


@dataclass(frozen=True)
class _Wish:
    """What is done at a place: how it ends when it is refused, and the rights that it needs."""

    refused: type[ImportRefused | ExportRefused]
    rights: str
    verb: str


_READ = _Wish(ImportRefused, "s3:GetObject and s3:ListBucket", "read")


@dataclass(frozen=True)
class S3Object:
    """One object as a listing shows it."""

    bucket: str
    key: str
    size: int


class S3Store:
    """The S3 that this process's environment points to."""

    def __init__(self, region: str) -> None:
        import boto3
        from botocore.config import Config

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self.endpoint = endpoint or "Amazon S3"
        self._session = boto3.Session(region_name=os.environ.get("AWS_DEFAULT_REGION") or region)
        # Stores other than Amazon's rarely answer at bucket.host, so their buckets go into the path.
        style: Any = {"addressing_style": "path"} if endpoint else {}
        self._client: Any = self._session.client(
            "s3",
            config=Config(
                s3=style,
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "max_attempts": 4},
            ),
        )

    def find(self, bucket: str, key: str) -> list[S3Object]:
        """The object `key` alone if it exists, else all whose key starts with it, in the order of their keys."""
        with self._explained(bucket, key, _READ):
            if key and not key.endswith("/"):
                exact = self._head(bucket, key)
                if exact is not None:
                    return [exact]
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            found = [
                S3Object(bucket, entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", [])
            ]
        return sorted(found, key=lambda entry: entry.key)

    def download(self, entry: S3Object, path: Path, advance: Callable[[int], None]) -> None:
        """One object into one file; `advance` hears of the bytes as they come."""
        partial = path.with_suffix(".part")
        with self._explained(entry.bucket, entry.key, _READ):
            self._client.download_file(entry.bucket, entry.key, str(partial), Callback=advance)
        partial.replace(path)

    def upload(
        self, path: Path, bucket: str, key: str, advance: Callable[[int], None], kms_key: str | None = None
    ) -> None:
        """One file into one object, which is there as a whole or not at all; `kms_key`: encrypted with it at rest.

        Raises ExportRefused, or SourceUnreachable.
        """
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        rights = (
            "s3:PutObject" if kms_key is None else f"s3:PutObject, kms:GenerateDataKey and kms:Decrypt with {kms_key}"
        )
        # Not upload_file: it hides the store's answer in a sentence.
        with path.open("rb") as source, self._explained(bucket, key, _Wish(ExportRefused, rights, "write")):
            self._client.upload_fileobj(source, bucket, key, ExtraArgs=encryption, Callback=advance)

    def _head(self, bucket: str, key: str) -> S3Object | None:
        from botocore.exceptions import ClientError

        try:
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # A key may be denied where listing is not, and the other way round: the listing decides.
            if str(error.response.get("Error", {}).get("Code")) in NOWHERE | DENIED:
                return None
            raise
        return S3Object(bucket, key, int(answer["ContentLength"]))

    @contextmanager
    def _explained(self, bucket: str, key: str, wish: _Wish) -> Iterator[None]:
        """Turn botocore's errors into a sentence that says what was asked, of whom, with which key."""
        from boto3.exceptions import S3TransferFailedError
        from botocore import exceptions as boto

        where = f"s3://{bucket}/{key}"
        try:
            yield
        except boto.ClientError as error:
            raise self._refusal(error, bucket, where, wish) from None
        except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound) as error:
            raise wish.refused(
                f"{NO_RIGHTS} The server has no credentials to {wish.verb} {where} ({error}): start it with "
                f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in its environment"
            ) from None
        except boto.ParamValidationError as error:
            raise wish.refused(f"Invalid Data location. {where} can't be an S3 location: {error}") from None
        except (boto.BotoCoreError, S3TransferFailedError, OSError) as error:
            raise SourceUnreachable(f"{self.endpoint} did not answer for {where}: {error}") from error

    def _refusal(self, error: Any, bucket: str, where: str, wish: _Wish) -> Exception:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        if code == "NoSuchBucket":
            return wish.refused(f"Invalid Data location. Bucket {bucket!r} does not exist at {self.endpoint} ({where})")
        if code in NOWHERE:
            return wish.refused(f"Invalid Data location. {self.endpoint} has nothing at {where}: {code} {message}")
        if code in DENIED:
            return wish.refused(
                f"{NO_RIGHTS} {self.endpoint} refused {where} to the server's own key {self._key_id()} with {code}: "
                f"allow it {wish.rights} there (the job's roleArn is not assumed)"
            )
        if code.startswith("KMS"):
            return wish.refused(f"{self.endpoint} could not use the KMS key for {where}: {code} {message}")
        return SourceUnreachable(f"{self.endpoint} answered {code or 'an error'} for {where}: {message}")

    def _key_id(self) -> str:
        credentials = self._session.get_credentials()
        return credentials.access_key if credentials else "(none)"
