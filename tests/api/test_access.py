"""Keys and roles at the control plane, and the audit of what was changed with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from fastapi import FastAPI
from sqlalchemy import Engine, make_url, text

from pipelines.aws.access import Role, allowed
from pipelines.aws.errors import CONTROL
from pipelines.control.auditing import _resource
from pipelines.platform import keys_command
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.registry import audit
from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings
from plugins.control_plane.app import MountWithoutSlash, create_app
from tests.api.conftest import Client, client_for, serving
from tests.conftest import execute
from tests.support.access import audited, make_key
from tests.support.group import Group, refused
from tests.support.runtime import until

ARN = "arn:aws:personalize:us-east-1:123456789012:"


def code(client: Client, operation: str) -> str:
    """What an empty request is answered with."""
    try:
        client._make_api_call(operation, {})
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def test_a_role_decides_before_an_operations_constraints(url: str, settings: Settings) -> None:
    """What each role may call: tests/unit/aws/test_access.py."""
    for role in Role:
        key = make_key(settings, role)
        client = client_for(url, key.id, key.secret, parameter_validation=False)
        for operation in ("CreateSchema", "TagResource", "DeleteDataset", "ListSchemas", "GetSolutionMetrics"):
            denied = (CONTROL, operation) not in allowed(role)
            assert (code(client, operation) == "AccessDeniedException") == denied, (role, operation)


def test_an_operator_works_but_destroys_nothing_that_cannot_be_made_again(url: str, settings: Settings) -> None:
    key = make_key(settings, "operator", "ci")
    client = client_for(url, key.id, key.secret)
    arn = client.create_dataset_group(name="shop")["datasetGroupArn"]
    said = refused(client.delete_dataset_group, datasetGroupArn=arn)
    assert said == (
        "AccessDeniedException",
        f"User: {key.id} (ci) is not authorized to perform: personalize:DeleteDatasetGroup with role operator; "
        "it takes admin.",
    )
    client_for(url).delete_dataset_group(datasetGroupArn=arn)


def test_a_key_works_at_once_and_ends_in_every_process_soon_after_it_was_revoked(url: str, settings: Settings) -> None:
    key = make_key(settings, "read-only")
    with serving(create_app(settings)) as other:
        clients = [client_for(at, key.id, key.secret) for at in (url, other)]
        for client in clients:
            client.list_schemas()
        keys_command.revoke(settings, key.id)
        for client in clients:
            until(
                "the key to end", lambda client=client: code(client, "ListSchemas") == "UnrecognizedClientException", 5
            )


def test_only_the_secret_that_was_shown_signs(url: str, settings: Settings) -> None:
    key = make_key(settings, "read-only")
    assert refused(client_for(url, key.id, "guessed").list_schemas)[0] == "InvalidSignatureException"
    [listed] = [one for one in keys_command.every(settings) if one.id == key.id]
    assert listed.last_used_at is None, "a guess is no use of the key"


def test_who_can_write_to_the_database_cannot_raise_a_key_to_admin(url: str, settings: Settings, db: Engine) -> None:
    key = make_key(settings, "read-only")
    with db.begin() as conn:
        conn.execute(text(f"UPDATE {SCHEMA}.access_keys SET role = 'admin'"))
    assert refused(client_for(url, key.id, key.secret).list_schemas)[0] == "InvalidSignatureException"


def test_the_database_has_no_secret(settings: Settings, db: Engine) -> None:
    key = make_key(settings, "operator")
    with db.begin() as conn:
        stored = conn.execute(text(f"SELECT k::text FROM {SCHEMA}.access_keys k")).scalar_one()
    assert key.id in stored and key.secret not in stored and settings.keys_secret not in stored


def test_the_use_of_a_key_is_noted(url: str, settings: Settings) -> None:
    key = make_key(settings, "read-only")
    client_for(url, key.id, key.secret).list_schemas()
    [listed] = [one for one in keys_command.every(settings) if one.id == key.id]
    assert listed.last_used_at is not None


def test_without_the_common_secret_only_keys_of_the_environment_are_known(settings: Settings) -> None:
    key = make_key(settings, "admin")
    with serving(create_app(replace(settings, given_keys_secret=""))) as url:
        client_for(url).list_schemas()
        assert refused(client_for(url, key.id, key.secret).list_schemas)[0] == "UnrecognizedClientException"


# Audit --------------------------------------------------------------------------------------------------


def test_what_changed_something_is_in_the_audit_with_who_what_and_from_where(url: str, settings: Settings) -> None:
    key = make_key(settings, "operator", "ci")
    client = client_for(url, key.id, key.secret)
    answer = client.create_dataset_group(name="shop", tags=[{"tagKey": "team", "tagValue": "not for the audit"}])
    client.list_dataset_groups()
    client.describe_dataset_group(datasetGroupArn=answer["datasetGroupArn"])
    [entry] = audited(settings, "ci")
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "request_id": answer["ResponseMetadata"]["RequestId"],
        "key_id": key.id,
        "key_name": "ci",
        "role": "operator",
        "operation": "CreateDatasetGroup",
        "resource": f"{ARN}dataset-group/shop",
        "outcome": "ok",
        "source": "127.0.0.1",
        "calls": 1,
    }


def test_what_was_refused_is_in_the_audit_with_its_code(url: str, settings: Settings, group: Group) -> None:
    key = make_key(settings, "runtime-only", "web")
    web, admin = client_for(url, key.id, key.secret), client_for(url, parameter_validation=False)
    refused(web.delete_dataset, datasetArn=group.dataset)
    refused(web.create_dataset_group, name="other")
    refused(web.list_schemas)
    refused(admin.create_dataset_group, name="shop")
    refused(admin.create_dataset_group, name="not a name")
    refused(admin.delete_schema, schemaArn=group.schema)
    for client in (client_for(url, secret="wrong"), client_for(url, key_id="AKIAUNKNOWN")):
        refused(client.create_dataset_group, name="nobody")
    found = [(one["key_name"], one["operation"], one["resource"], one["outcome"]) for one in audited(settings)]
    assert [entry for entry in found if entry[3] != "ok"] == [
        ("web", "DeleteDataset", group.dataset, "AccessDeniedException"),
        ("web", "CreateDatasetGroup", "other", "AccessDeniedException"),
        ("environment", "CreateDatasetGroup", "shop", "ResourceAlreadyExistsException"),
        ("environment", "CreateDatasetGroup", None, "ValidationException"),
        ("environment", "DeleteSchema", group.schema, "ResourceInUseException"),
    ]


def test_a_change_and_its_line_are_there_together_or_not_at_all(
    personalize: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no line")

    with monkeypatch.context() as during:
        during.setattr(audit, "write", broken)
        with pytest.raises(ClientError, match="internal error"):
            personalize.create_dataset_group(name="shop")
    assert personalize.list_dataset_groups()["datasetGroups"] == []
    assert audited(settings) == []


@pytest.mark.parametrize(
    ("operation", "given", "answer", "about"),
    [
        ("CreateCampaign", {"name": "c", "solutionVersionArn": "v"}, {"campaignArn": "c-arn"}, "c-arn"),
        ("CreateSolutionVersion", {"solutionArn": "s"}, {}, "s"),
        ("CreateDatasetImportJob", {"jobName": "j", "datasetArn": "d"}, {}, "j"),
        ("UpdateDataset", {"datasetArn": "d", "schemaArn": "s"}, {"datasetArn": "d"}, "d"),
        ("StopSolutionVersionCreation", {"solutionVersionArn": "v"}, {}, "v"),
        ("StartRecommender", {"recommenderArn": "r"}, {}, "r"),
        ("TagResource", {"resourceArn": "t", "tags": []}, {}, "t"),
        ("CreateCampaign", {}, {}, None),
    ],
)
def test_the_resource_is_what_was_made_or_changed(operation: str, given: Any, answer: Any, about: str | None) -> None:
    assert _resource(operation, given, answer) == about


def test_the_line_of_a_refusal_that_an_outage_keeps_out_is_in_the_log(
    personalize: Client, settings: Settings, postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    personalize.create_dataset_group(name="before")
    database = make_url(settings.database_url).database
    execute(postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    with pytest.raises(ClientError, match="ServiceUnavailable") as unavailable:
        personalize.create_dataset_group(name="during")
    execute(postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    request_id = unavailable.value.response["ResponseMetadata"]["RequestId"]
    assert f"the audit lacks request {request_id}" in caplog.text
    assert [one["resource"] for one in audited(settings)] == [f"{ARN}dataset-group/before"]


# Behind a proxy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/airflow/personalize", "/airflow/personalize/"])
def test_an_airflow_below_a_path_of_its_own_verifies_what_clients_signed(settings: Settings, path: str) -> None:
    """As Airflow does it for a base_url with a path: the proxy passes the whole path on."""
    airflow = FastAPI(root_path="/airflow")
    airflow.mount("/personalize", create_app(settings))
    airflow.add_middleware(MountWithoutSlash, path="/personalize")
    with serving(airflow) as url:
        assert client_for(url + path).list_dataset_groups()["datasetGroups"] == []
