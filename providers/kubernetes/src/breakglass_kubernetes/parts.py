"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.model.action import ActionSpec
from breakglass.provider import Action, Proposed
from breakglass_kubernetes.actions import (
    api_services,
    argo_events,
    cron_jobs,
    keda_pause,
    knative,
    refuse_relaunch,
    webhooks,
)
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found

Propose = Callable[[Cluster, Found], Proposed]

ACTION_CLASSES: tuple[Callable[[Cluster], Action], ...] = (
    *webhooks.ACTION_CLASSES,
    *cron_jobs.ACTION_CLASSES,
    *knative.ACTION_CLASSES,
    *argo_events.ACTION_CLASSES,
    *api_services.ACTION_CLASSES,
    *keda_pause.ACTION_CLASSES,
    *refuse_relaunch.ACTION_CLASSES,
)
SPECS: tuple[ActionSpec, ...] = (
    *webhooks.SPECS,
    *cron_jobs.SPECS,
    *knative.SPECS,
    *argo_events.SPECS,
    *api_services.SPECS,
    *keda_pause.SPECS,
    *refuse_relaunch.SPECS,
)
PROPOSE: tuple[Propose, ...] = (
    webhooks.propose,
    cron_jobs.propose,
    knative.propose,
    argo_events.propose,
    api_services.propose,
    keda_pause.propose,
    refuse_relaunch.propose,
)
"""In the order in which their steps should stand in a plan."""
