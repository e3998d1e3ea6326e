"""Preflight asks Google itself what the executor may, and refuses to saw off its own branch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.model.action import Capability, Grade, Reversibility
from breakglass.model.plan import Step
from breakglass.provider import Finding
from breakglass_gcp import parts
from breakglass_gcp.connect import GcpProvider
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig
from providers.gcp.tests.test_gcp_workload_pools import make as make_pool

DISABLE = "gcp.iam.disable_service_account"
CAPABILITY = {spec.name: spec.capability for spec in parts.SPECS}


def steps(provider: GcpProvider) -> list[Step]:
    """Return what discovery proposes, numbered."""
    return [step(n, one.action, one.target) for n, one in enumerate(provider.discover().proposals)]


def step(n: int, action: str, target: object) -> Step:
    """Return a step of a plan."""
    return Step(
        n=n,
        reach=0,
        capability=CAPABILITY[action],
        action=action,
        target=target,  # type: ignore[arg-type]  # a resource
        after=(),
        settle_ms=0,
        deadline_ms=0,
        best_grade=Grade.NONE,
        window_s=None,
        moot_by=(),
        reversibility=Reversibility.FULL,
        undo="",
        blast_radius="",
        destroys_evidence="",
        affects=(),
        withholds_only=False,
        observed="",
    )


def of(provider: GcpProvider, action: str) -> list[Step]:
    """Return the proposed steps of one action."""
    return [one for one in steps(provider) if one.action == action]


def refused(findings: Sequence[Finding]) -> list[str]:
    """Return what is said of the steps that may not run; each alone."""
    bad = [one for one in findings if not one.ok]
    assert all(one.alone for one in bad)
    return [one.message for one in bad]


def as_poor_executor(rig: Rig, *roles: str) -> str:
    """Become an executor with these roles of the project, beside what discovery needs."""
    needs = ["resourcemanager.projects.get", "iam.serviceAccounts.get", "iam.serviceAccounts.list"]
    read = rig.role("onlyReading", needs)
    poor = rig.account("poor-executor", roles=[read, *roles])
    rig.secrets.keep_token(EXECUTOR, rig.token(poor))
    return poor


@pytest.fixture
def faults(rig: Rig) -> Iterator[Rig]:
    """Give a project whose calls go wrong on order, and no longer than the test."""
    yield rig
    rig.control("faults", {"faults": []})


def test_the_printed_rights_are_enough_for_every_step(rig: Rig) -> None:
    """Each proposed step is allowed to the executor that the rig makes."""
    provider = rig.provider(service_accounts=[rig.account("bot")])

    assert refused(provider.preflight(steps(provider))) == []


def test_what_is_missing_is_named(rig: Rig) -> None:
    """The step is refused alone, with the permission."""
    bot = rig.account("bot")
    as_poor_executor(rig)
    provider = rig.provider(service_accounts=[bot])

    said = refused(provider.preflight(of(provider, DISABLE)))

    assert len(said) == 1
    assert "iam.serviceAccounts.disable" in said[0]


def test_a_right_on_the_account_alone_is_enough(rig: Rig) -> None:
    """It need not be held on the whole project."""
    bot = rig.account("bot")
    poor = as_poor_executor(rig)
    needs = next(spec for spec in parts.SPECS if spec.name == DISABLE).permissions
    role = rig.role("onAccount", [one for one in needs if one.startswith("iam.serviceAccounts.")])
    resource = f"projects/{rig.project}/serviceAccounts/{bot}"
    policy = rig.admin.call("iam_admin", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role=role, members=[f"serviceAccount:{poor}"])
    rig.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})
    provider = rig.provider(service_accounts=[bot])

    said = "".join(refused(provider.preflight(of(provider, DISABLE))))

    assert "iam.serviceAccounts." not in said


def test_a_permission_that_the_project_does_not_know_hides_no_other(faults: Rig) -> None:
    """The question fails as a whole: it is asked again in halves, and what is left is not known."""
    provider = faults.provider(service_accounts=[faults.account("bot")])
    wanted = of(provider, DISABLE)
    order = {"method": "*Projects/TestIamPermissions", "code": "INVALID_ARGUMENT", "times": 1}
    faults.control("faults", {"faults": [order]})

    assert refused(provider.preflight(wanted)) == []


def test_no_answer_is_no_reason_to_leave_the_agent_alone(faults: Rig) -> None:
    """Each step meets its own refusal later; until then it is not known."""
    provider = faults.provider(service_accounts=[faults.account("bot")])
    wanted = of(provider, DISABLE)
    faults.control("faults", {"faults": [{"method": "*TestIamPermissions", "code": "UNAVAILABLE"}]})

    findings = provider.preflight(wanted)

    assert all(one.ok and "not known" in one.message for one in findings)


@pytest.mark.parametrize(
    ("capability", "params", "cut"),
    [
        (Capability.REVOKE_CREDENTIALS, {"email": "ME"}, True),
        (Capability.REVOKE_CREDENTIALS, {"accounts": ["x@y", "serviceAccount:ME"]}, True),
        (Capability.REVOKE_CREDENTIALS, {"principals": ["principal://x/serviceAccounts/ME"]}, True),
        (Capability.REVOKE_CREDENTIALS, {"email": "bot@x", "successor": "ME"}, False),
        (Capability.CUT_EGRESS, {"accounts": ["ME"]}, True),
        (Capability.STOP_WORKLOADS, {"account": "ME"}, False),
    ],
)
def test_a_step_that_would_cut_off_the_executor_is_refused_alone(
    rig: Rig, capability: Capability, params: dict[str, Json], *, cut: bool
) -> None:
    """Wherever its account stands among those that are cut off; not where it merely appears."""
    me = rig.email(EXECUTOR)
    rig.grant(f"serviceAccount:{me}", "roles/iam.serviceAccountTokenCreator")
    provider = rig.provider(**{"as": me})
    put = {key: _put(value, me) for key, value in params.items()}
    target = provider.project.target("gcp-x", "x", "x", **put)

    findings = provider.preflight([replace(step(0, DISABLE, target), capability=capability)])

    assert [("cut off the executor" in one.message) for one in findings] == [cut]


def _put(value: Json, me: str) -> Json:
    if isinstance(value, list):
        return [_put(one, me) for one in value]
    return value.replace("ME", me) if isinstance(value, str) else value


def test_the_pool_that_the_executor_signs_in_through_is_not_disabled_by_it(rig: Rig, tmp_path: Path) -> None:
    """A federated executor has no address: its pool tells."""
    make_pool(rig, "ops")
    start = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/ops"
    rig.grant(f"principal://{start}/subject/deployer", "roles/owner")
    named = f"projects/{rig.project}/locations/global/workloadIdentityPools/ops/providers/ci"
    said = rig.control("federated_subject", {"provider": named, "subject": "deployer"})
    (tmp_path / "subject").write_text(said["token"])
    key = {
        "type": "external_account",
        "audience": f"//{start}/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{rig.sandbox.rest}/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    rig.secrets.held[EXECUTOR] = json.dumps(key).encode()
    provider = rig.provider()
    pools = ("ops", "agents")
    own, other = (provider.project.target("gcp-workload-pool", one, one, pool=one) for one in pools)

    findings = provider.preflight([step(0, DISABLE, own), step(1, DISABLE, other)])

    assert ["signs in through the pool" in one.message for one in findings] == [True, False]
