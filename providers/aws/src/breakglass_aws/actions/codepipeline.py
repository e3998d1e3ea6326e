"""``aws.codepipeline.disable_transitions``: nothing enters a stage any more, no release starts the agent.

A disabled transition holds executions back in front of a stage; it does not end what runs inside of one
(CodePipeline User Guide, "Disable or enable transitions between stages"). A stage that runs keeps the step
open until it has ended: stopping an execution half-way would leave a half-made release.
"""

from __future__ import annotations

import re

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account, Answer
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.codepipeline.disable_transitions",
    capability=Capability.FREEZE_CHANGE,
    summary="disables the transition into the stage, or into every stage: releases wait in front of it",
    permissions=("codepipeline:DisableStageTransition", "codepipeline:GetPipelineState"),
    undo_permissions=("codepipeline:EnableStageTransition", "codepipeline:GetPipelineState"),
    blast_radius="every release of this pipeline waits; what runs inside of a stage goes on",
    reversibility=Reversibility.FULL,
    undo="enables those transitions that the stop disabled; the newest waiting release goes on at once",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.codepipeline.disable_transitions pipeline/support-bot/Deploy",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, "CodePipeline API reference, DisableStageTransition: Inbound"
        ),
        Source("settle", Authority.UNVERIFIED, "no figure is published; read back twice, 5 s apart"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_deployers.py"),
    ),
    service="codepipeline",
)
KIND = "codepipeline:"
_RUNNING = frozenset({"InProgress", "Stopping", "Cancelling"})
_LONGEST_REASON = 300
_ODD = re.compile(r"[^a-zA-Z0-9!@ ().*?-]")
"""What DisableStageTransition does not take in a reason (its `pattern`)."""


class DisableTransitions:
    """The stages of one pipeline, or one of them."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._reason = _ODD.sub("-", f"breakglass {account.connection.incident}")[:_LONGEST_REASON]

    def observe(self, resource: Resource) -> State:
        """Read each stage's inbound transition and what runs in it; a pipeline that is gone has none."""
        try:
            state = self._account.call("codepipeline", "get_pipeline_state", name=_pipeline(resource))
        except Gone:
            return State({})
        return State(stages(state, str(resource.params.get("stage") or "")))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable every transition that is enabled."""
        for stage, value in before.objects.items():
            if _of(value, "enabled") is True:
                self._account.call(
                    "codepipeline",
                    "disable_stage_transition",
                    pipelineName=_pipeline(resource),
                    stageName=stage,
                    transitionType="Inbound",
                    reason=self._reason,
                )

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a release can still get into a stage, or is in one."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the pipeline or its stage is gone: it releases nothing")
        enabled = sorted(
            stage for stage, value in state.objects.items() if _of(value, "enabled") is not False
        )
        if enabled:
            return Judgement(Verdict.NOT_CONTAINED, f"releases still enter {', '.join(enabled)}")
        running = sorted(stage for stage, value in state.objects.items() if _of(value, "running"))
        if running:
            return Judgement(Verdict.NOT_CONTAINED, f"a release is still inside of {', '.join(running)}")
        return Judgement(Verdict.CONTAINED, f"nothing enters {', '.join(sorted(state.objects))}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable those transitions that the stop disabled and nobody touched since."""
        outcomes: dict[str, Outcome] = {}
        for stage, value in before.objects.items():
            there = now.objects.get(stage)
            if there is None or _of(there, "created_ms") != _of(value, "created_ms"):
                outcomes[stage] = Outcome.DRIFTED
            elif _of(value, "enabled") is not True or _of(there, "enabled") is True:
                outcomes[stage] = Outcome.ALREADY
            elif _of(there, "reason") != self._reason:
                outcomes[stage] = Outcome.DRIFTED
            else:
                self._account.call(
                    "codepipeline",
                    "enable_stage_transition",
                    pipelineName=_pipeline(resource),
                    stageName=stage,
                    transitionType="Inbound",
                )
                outcomes[stage] = Outcome.RESTORED
        return Reversal(
            outcomes, "a transition that somebody else disabled, or disabled anew, stays disabled"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a trial would be a release."""
        return None


def stages(state: Answer, only: str) -> dict[str, Json]:
    """Return the transitions of a pipeline's state; its first stage, the source, has none."""
    created = state.get("created")
    created_ms = int(created.timestamp() * 1000) if created else None
    found: dict[str, Json] = {}
    for stage in state.get("stageStates") or ():
        name, inbound = str(stage.get("stageName")), stage.get("inboundTransitionState")
        if inbound is None or only not in ("", name):
            continue
        last = stage.get("latestExecution") or {}
        found[name] = {
            "enabled": inbound.get("enabled") is True,
            "reason": str(inbound.get("disabledReason") or ""),
            "running": str(last.get("pipelineExecutionId")) if last.get("status") in _RUNNING else "",
            "created_ms": created_ms,
        }
    return found


def propose(account: Account, found: Found) -> Proposed:
    """Propose to close each pipeline, or stage, that the inventory names as a deployer."""
    proposals, notes = [], []
    for entry in found.of("deployers"):
        if not entry.startswith(KIND):
            continue
        name = entry.removeprefix(KIND)
        pipeline, _, stage = name.partition("/")
        try:
            there = stages(account.call("codepipeline", "get_pipeline_state", name=pipeline), stage)
        except Gone:
            there = {}
        if not there:
            notes.append(
                NotTouched(f"deployer {entry}", "there is no such pipeline, or no such stage to enter")
            )
            continue
        params: dict[str, Json] = {"pipeline": pipeline, "stage": stage}
        target = Resource("pipeline", f"pipeline/{name}", f"pipeline {name}", params)
        proposals.append(
            Proposal(
                key=f"disable_transitions:{name}",
                action=SPEC.name,
                target=target,
                settle_s=account.settle_s(SPEC),
                revokes=(f"deployer:codepipeline/{name}",),
            )
        )
    return Proposed(tuple(proposals), not_touched=tuple(notes))


def _pipeline(resource: Resource) -> str:
    return str(resource.params["pipeline"])


def _of(value: Json, key: str) -> Json:
    return value.get(key) if isinstance(value, dict) else None


ACTION_CLASSES = (DisableTransitions,)
SPECS = (SPEC,)
