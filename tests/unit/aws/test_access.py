"""What each role may call, by the service models, and what the secret of a key is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.aws.access import IRREVERSIBLE, Role, allowed, authorize, changes, fingerprint, given_keys, stored_key
from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME, AccessDenied
from pipelines.aws.models import service_model
from pipelines.settings import Settings

OPERATIONS = {
    (service, name) for service in (CONTROL, RUNTIME, EVENTS) for name in service_model(service).operation_names
}
ROOT = "r" * 40


def test_an_admin_may_do_everything_and_an_operator_all_but_what_cannot_be_made_again() -> None:
    assert allowed(Role.ADMIN) == OPERATIONS
    assert OPERATIONS - allowed(Role.OPERATOR) == {(CONTROL, name) for name in IRREVERSIBLE}


def test_an_application_may_call_the_runtime_and_events_and_nothing_else() -> None:
    assert {service for service, _ in allowed(Role.RUNTIME_ONLY)} == {RUNTIME, EVENTS}
    assert {name for service, name in OPERATIONS if service != CONTROL} == {
        name for _, name in allowed(Role.RUNTIME_ONLY)
    }


def test_a_reader_changes_nothing() -> None:
    reading = {name for _, name in allowed(Role.READ_ONLY)}
    assert {name for _, name in OPERATIONS if not changes(name)} == reading
    verbs = ("Create", "Update", "Delete", "Put", "Start", "Stop", "Tag", "Untag")
    assert {name for _, name in OPERATIONS if name.startswith(verbs)} == {name for _, name in OPERATIONS} - reading
    assert {"GetRecommendations", "GetSolutionMetrics", "ListTagsForResource", "DescribeCampaign"} <= reading


def test_a_refusal_names_key_operation_and_role() -> None:
    key = stored_key(ROOT, "AKIAX", "reports", "read-only")
    authorize(key, CONTROL, "ListCampaigns")
    with pytest.raises(AccessDenied) as refused:
        authorize(key, CONTROL, "DeleteDataset")
    assert refused.value.message == (
        "User: AKIAX (reports) is not authorized to perform: personalize:DeleteDataset with role read-only; it takes admin."
    )
    assert (refused.value.status(CONTROL), refused.value.status(RUNTIME)) == (400, 403)


def test_a_secret_is_the_roots_the_roles_and_the_ids_and_nobody_elses() -> None:
    def secret(root: str = ROOT, id: str = "AKIAX", role: str = "operator") -> str:
        return stored_key(root, id, "name", role).secret

    assert secret() == secret() and len(secret()) == 40
    assert len({secret(), secret(root="s" * 40), secret(id="AKIAY"), secret(role="admin")}) == 4
    assert secret() not in repr(stored_key(ROOT, "AKIAX", "name", "operator"))
    assert fingerprint(ROOT) != fingerprint("s" * 40) and fingerprint("") == ""


def test_keys_of_the_environment_are_admins() -> None:
    keys = given_keys(Settings(home=Path("/nowhere"), given_access_keys="A:x,B:y"))
    assert {(key.id, key.secret, key.role) for key in keys.values()} == {("A", "x", "admin"), ("B", "y", "admin")}
