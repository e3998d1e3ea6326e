"""Proposes to cut a container's connections, by the same step as for any other tree of processes."""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.model.action import Grade
from breakglass.model.resource import Resource
from breakglass.provider import Connection, Proposal, WaitFor
from breakglass_host import membership, network, nft
from breakglass_host.actions import egress
from breakglass_host.containers import reading
from breakglass_host.containers.facts import Container
from breakglass_host.network import How
from breakglass_host.tree import Tree

_HEAD_START_S = 0.1
_FREEZE_WAIT_S = 5.0
_DEADLINE_S = 50.0


def propose(
    connection: Connection, one: Container, label: str, limit: str, *, pause: str, end: str
) -> tuple[Proposal, ...]:
    """Propose the cut for one container; nothing where it has no process or no cgroup of its own.

    No probe proves it: the network namespace ends with the container.
    """
    path = reading.own_cgroup(one)
    if not path:
        return ()
    wanted = Tree(f"container:{label}", cgroup=path)
    seen = membership.look(wanted)
    nets = network.nets(wanted, seen.table, seen.members, {})
    if not nets:
        return ()
    is_shared = any(net.how is How.SHARED for net in nets)
    why = egress.NO_NFT_REASON if nft.program() is None else egress.SHARED_REASON
    listed: list[Json] = [{"netns": net.inode, "how": net.how.value} for net in nets]
    params: dict[str, Json] = {**wanted.params(), "nets": listed, "limit": limit}
    params |= {"table": nft.table_name(connection.incident), **({"uncut": why} if is_shared else {})}
    target = Resource("network", f"egress:{label} {one.id[:12]}", f"network of container {label}", params)
    return (
        Proposal(
            key=f"egress:{label}:{one.id[:12]}",
            action=egress.SPEC.name,
            target=target,
            after=(WaitFor(pause, _FREEZE_WAIT_S if is_shared else _HEAD_START_S),),
            best_grade=Grade.NONE if is_shared or limit else Grade.READ_BACK,
            deadline_s=_DEADLINE_S,
            moot_by=() if limit or one.removes_itself else (end,),
        ),
    )
