"""Says whose policies decide what a caller may do."""

from __future__ import annotations


def principal_of(caller: str) -> str | None:
    """Return the ARN that policies are attached to, of a caller; None: the account's root has none.

    A role's ARN lacks the path here: a session's ARN does not tell it.
    """
    head, _, resource = caller.rpartition(":")
    if resource == "root":
        return None
    kind, _, rest = resource.partition("/")
    if kind == "assumed-role":
        return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"
    return caller
