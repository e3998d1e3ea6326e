"""Names the steps whose undoing needs what the guards refuse."""

from __future__ import annotations

LAYERS = (
    "scale_to_zero",
    "suspend_jobs",
    "suspend_cron_jobs",
    "delete_pods",
    "keda_pause",
    "argocd_pause",
    "flux_suspend",
)
"""Controllers make pods, not the break-glass group: at restore these steps wait until a guard is gone.

A guard waits for none of them in a stop: it names them with no time to wait, and the restore turns that
round (DESIGN 5: each guard goes immediately before the layer that it blocks).
"""
