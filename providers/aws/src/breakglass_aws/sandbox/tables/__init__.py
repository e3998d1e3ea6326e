"""Which IAM action and which resources every operation of the sandbox stands for, table by table."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass_aws.sandbox.tables import agents, compute, functions, identity, queues, records
from breakglass_aws.sandbox.tables.table import NoRule, Table

__all__ = ["TABLES", "NoRule", "Table"]
TABLES: Mapping[str, Table] = {
    **identity.TABLES,
    **functions.TABLES,
    **queues.TABLES,
    **compute.TABLES,
    **records.TABLES,
    **agents.TABLES,
}
