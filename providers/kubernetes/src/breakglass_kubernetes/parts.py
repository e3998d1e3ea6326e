"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.model.action import ActionSpec
from breakglass.provider import Action, Proposed
from breakglass_kubernetes.actions import (
    admission_policies,
    api_services,
    argo_events,
    argocd,
    audit_entries,
    autoscalers,
    cron_jobs,
    daemon_sets,
    egress_plan,
    flux,
    identities,
    jobs,
    keda_pause,
    knative,
    manifests,
    pod_logs,
    pod_quota,
    pods,
    refuse_relaunch,
    scale_to_zero,
    webhooks,
)
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found

Propose = Callable[[Cluster, Found], Proposed]

ACTION_CLASSES: tuple[Callable[[Cluster], Action], ...] = (
    *identities.ACTION_CLASSES,
    *pod_logs.ACTION_CLASSES,
    *manifests.ACTION_CLASSES,
    *audit_entries.ACTION_CLASSES,
    *egress_plan.ACTION_CLASSES,
    *webhooks.ACTION_CLASSES,
    *admission_policies.ACTION_CLASSES,
    *cron_jobs.ACTION_CLASSES,
    *knative.ACTION_CLASSES,
    *argo_events.ACTION_CLASSES,
    *api_services.ACTION_CLASSES,
    *keda_pause.ACTION_CLASSES,
    *autoscalers.ACTION_CLASSES,
    *scale_to_zero.ACTION_CLASSES,
    *daemon_sets.ACTION_CLASSES,
    *jobs.ACTION_CLASSES,
    *pods.ACTION_CLASSES,
    *refuse_relaunch.ACTION_CLASSES,
    *pod_quota.ACTION_CLASSES,
    *argocd.ACTION_CLASSES,
    *flux.ACTION_CLASSES,
)
SPECS: tuple[ActionSpec, ...] = (
    *identities.SPECS,
    *pod_logs.SPECS,
    *manifests.SPECS,
    *audit_entries.SPECS,
    *egress_plan.SPECS,
    *webhooks.SPECS,
    *admission_policies.SPECS,
    *cron_jobs.SPECS,
    *knative.SPECS,
    *argo_events.SPECS,
    *api_services.SPECS,
    *keda_pause.SPECS,
    *autoscalers.SPECS,
    *scale_to_zero.SPECS,
    *daemon_sets.SPECS,
    *jobs.SPECS,
    *pods.SPECS,
    *refuse_relaunch.SPECS,
    *pod_quota.SPECS,
    *argocd.SPECS,
    *flux.SPECS,
)
PROPOSE: tuple[Propose, ...] = (
    identities.propose,
    pod_logs.propose,
    manifests.propose,
    audit_entries.propose,
    egress_plan.propose,
    webhooks.propose,
    admission_policies.propose,
    cron_jobs.propose,
    knative.propose,
    argo_events.propose,
    api_services.propose,
    keda_pause.propose,
    autoscalers.propose,
    scale_to_zero.propose,
    daemon_sets.propose,
    jobs.propose,
    pods.propose,
    refuse_relaunch.propose,
    pod_quota.propose,
    argocd.propose,
    flux.propose,
)
"""In the order in which their steps should stand in a plan."""
