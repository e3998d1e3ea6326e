"""`breakglass providers show gcp --roles`: what an administrator gives to `gcloud iam roles create`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from breakglass.canon import Json
from breakglass.model.resource import Reach
from breakglass_gcp import parts, permissions
from providers.gcp.tests.rig_gcp import Rig

KEYS = {"title", "description", "stage", "includedPermissions"}
PERMISSION = re.compile(r"[a-z]+(\.[a-z][A-Za-z]+){2}")


def shown(*words: str) -> tuple[int, str, str]:
    """Run the command; return exit code, stdout and stderr."""
    line = [sys.executable, "-m", "breakglass", "providers", "show", *words]
    done = subprocess.run(
        line, env={**os.environ, "BREAKGLASS_KIT": ""}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("purpose", ["", "stop", "restore"])
def test_every_permission_is_one_that_google_could_mean(purpose: str) -> None:
    """Service, kind and verb; no wildcards."""
    odd = [one for one in permissions.needed(purpose) if PERMISSION.fullmatch(one) is None]

    assert odd == []


@pytest.mark.parametrize("spec", parts.SPECS, ids=lambda spec: spec.name)
def test_the_role_holds_what_each_action_needs(spec: object) -> None:
    """To stop and to undo; what no project's role may hold is named beside it."""
    role = set(permissions.documents("", (), split=False)[0]["includedPermissions"])  # type: ignore[arg-type]  # a list
    lacks = {*spec.permissions, *spec.undo_permissions} - role  # type: ignore[attr-defined]  # an ActionSpec

    assert [one for one in lacks if not permissions.elsewhere([one])] == []
    beside = ("iam.principalaccessboundarypolicies.", "orgpolicy.policy.set")
    assert [one for one in lacks if not one.startswith(beside)] == []


def test_a_role_to_restore_may_not_stop() -> None:
    """What only a stop changes is not in it."""
    assert "iam.serviceAccounts.disable" in permissions.needed("stop")
    assert "iam.serviceAccounts.disable" not in permissions.needed("restore")
    assert "iam.serviceAccounts.enable" in permissions.needed("restore")


def test_google_takes_the_printed_role(rig: Rig) -> None:
    """Each key of it, as the API names them; a description is 300 characters at most."""
    for purpose in ("", "stop", "restore"):
        role = permissions.documents(purpose, (), split=False)[0]
        rig.role(f"printed{purpose}", role["includedPermissions"])  # type: ignore[arg-type]  # a list

        assert set(role) == KEYS
        assert len(str(role["description"])) <= permissions.LONGEST_DESCRIPTION


def test_an_agent_without_a_class_deny_needs_no_right_over_deny_policies() -> None:
    """They reach beyond the project: whoever needs none should hold none."""
    plain = permissions.documents("", [Reach("gcp", {"project": "x"}, "test")], split=False)[0]
    policy = "policies/cloudresourcemanager.googleapis.com%2Forganizations%2F1/denypolicies/agents"
    armed = permissions.documents("", [Reach("gcp", {"class_deny_policy": policy}, "test")], split=False)[0]

    assert "denypolicies" not in json.dumps(plain)
    assert "iam.denypolicies.update" in json.dumps(armed)
    assert "roles/iam.denyAdmin on the organization" in str(armed["description"])


def test_an_agent_without_a_class_boundary_needs_no_right_over_bindings() -> None:
    """With one it does, and what only the organisation gives is said, whole."""
    plain = permissions.documents("", [Reach("gcp", {"project": "x"}, "test")], split=False)[0]
    both = {"class_boundary_binding": "projects/x/locations/global/policyBindings/agents", "as": "a@b"}
    deny = "policies/cloudresourcemanager.googleapis.com%2Forganizations%2F1/denypolicies/agents"
    reach = Reach("gcp", {**both, "class_deny_policy": deny}, "test")
    armed = permissions.documents("", [reach], split=False)[0]
    said = str(armed["description"])

    assert "olicyBinding" not in json.dumps(plain)
    assert "policybindings" not in json.dumps(plain)
    assert "resourcemanager.projects.updatePolicyBinding" in armed["includedPermissions"]  # type: ignore[operator]  # a list
    assert "principalaccessboundarypolicies" not in json.dumps(armed["includedPermissions"])
    assert "roles/iam.principalAccessBoundaryUser on the organization" in said
    assert said.endswith("to whoever impersonates it")


def test_an_agent_without_class_services_needs_no_right_over_organisation_policies() -> None:
    """Whoever may set them could lift every other: it is named beside the role where it is needed."""
    plain = permissions.documents("", [Reach("gcp", {"project": "x"}, "test")], split=False)[0]
    named: dict[str, Json] = {"class_services": ["aiplatform.googleapis.com"]}
    armed = permissions.documents("", [Reach("gcp", named, "test")], split=False)[0]

    assert "orgpolicy.policyAdmin" not in json.dumps(plain)
    assert "roles/orgpolicy.policyAdmin on the organization" in str(armed["description"])
    assert "orgpolicy.policy.set" not in str(armed["includedPermissions"])
    assert permissions.elsewhere(["orgpolicy.policy.set"])[0].startswith("orgpolicy.policy.set by roles/")


def test_all_that_is_granted_beside_the_role_fits_into_its_description() -> None:
    """Cut off, it would say half of it."""
    every = dict.fromkeys((*permissions.ARMED, "as"), "x")
    role = permissions.documents("", [Reach("gcp", every, "test")], split=False)[0]

    assert str(role["description"]).endswith("to whoever impersonates it")


def test_the_command_prints_the_role_and_says_what_is_granted_beside_it() -> None:
    """JSON to stdout, talk to stderr."""
    code, text, said = shown("gcp", "--roles")

    assert code == 0
    assert set(json.loads(text)) == KEYS
    assert "iam.denyAdmin" in said


@pytest.mark.parametrize(
    "words", [("aws", "--roles"), ("gcp", "--rbac"), ("gcp", "rogue"), ("gcp", "--roles", "--for", "undo")]
)
def test_what_there_is_not_is_refused(words: tuple[str, ...]) -> None:
    """Exit 2: nobody pastes the wrong thing."""
    assert shown(*words)[0] == 2
