"""``host.nft.cut_egress``: refuses the agent's traffic with nftables and destroys its held sockets."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host import cgroup, membership, netns, network, nft, probe, procfs, tree
from breakglass_host.actions.freeze import shared_now
from breakglass_host.cgroup import Hierarchy
from breakglass_host.network import How, Net
from breakglass_host.tree import Tree

SPEC = ActionSpec(
    name="host.nft.cut_egress",
    capability=Capability.CUT_EGRESS,
    summary="Refuses the agent's new connections, IPv4 and IPv6, and destroys those that it holds.",
    permissions=("CAP_NET_ADMIN in the agent's network namespace: nftables, SOCK_DESTROY",),
    blast_radius="The peers of the agent's connections see them end. Neighbours' traffic is not matched.",
    reversibility=Reversibility.PARTIAL,
    undo="Removes the rules; a destroyed connection is opened again by whoever wants it.",
    settle_s=0.0,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="host.nft.cut_egress egress:cgroup:/system.slice/support-bot.service",
    sources=(
        Source("proof", Authority.OWN_SANDBOX, "providers/host/tests/test_a_egress.py"),
        Source(
            "settle", Authority.VENDOR_TEXT, "nft(8): a transaction is atomic; sock_diag(7): SOCK_DESTROY"
        ),
    ),
)
SHARED_REASON = "shared: egress not cut"
NO_NFT_REASON = "nft is not installed: egress not cut"


class CutEgress:
    """Arm, destroy, list again."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read rules and held sockets of every network namespace of the tree."""
        wanted, hierarchy = tree.of(resource), cgroup.find()
        objects: dict[str, Json] = {
            f"net:{net.inode}": _read(resource, wanted, net, hierarchy) for net in _nets(resource)
        }
        lost = [key for key, value in objects.items() if isinstance(value, dict) and value["hidden"]]
        return State(objects, complete=not lost, note=f"cannot look into {', '.join(lost)}" if lost else "")

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - nftables takes no client token; the transaction is idempotent
        """Load the rules, then destroy what is held; a cgroup or user that is shared by now is left out."""
        wanted, hierarchy = tree.of(resource), cgroup.find()
        if why := shared_now(wanted, hierarchy, procfs.scan()):
            wanted = membership.what_is_left(wanted, why[0])
        if _lacks_cgroup(wanted) and (own := cgroup.writable()) is not None:
            # systemd removes the cgroup of a unit that ended: a start would use this one, which has rules.
            own.create(wanted.cgroup)
        reachable = [net for net in _nets(resource) if netns.reach(net.inode, net.pids)]
        errors = [_cut(resource, wanted, net, hierarchy) for net in reachable]
        if words := [word for word in errors if word]:
            raise ProviderError(words[0])
        if why:
            raise Denied(f"refused: {why[0]}; the rest is cut")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: every namespace holds the rules for what is there now, and no socket is left."""
        shared = False
        for key, value in state.objects.items():
            if not isinstance(value, Mapping) or value.get("gone"):
                continue
            sockets, missing = _items(value.get("sockets")), set(_items(value.get("wanted")))
            if sockets:
                return Judgement(
                    Verdict.NOT_CONTAINED, f"{len(sockets)} connections are open, first {sockets[0]}"
                )
            if value.get("how") == How.SHARED:
                shared = True
            elif missing - set(_items(value.get("armed"))) or not missing:
                return Judgement(Verdict.NOT_CONTAINED, f"the rules are not in place in {key}")
        if shared:
            uncut = resource.params.get("uncut") or SHARED_REASON
            return Judgement(Verdict.CONTAINED, f"{uncut}; the held connections are destroyed", Grade.NONE)
        limit = resource.params.get("limit")
        if limit:
            return Judgement(Verdict.CONTAINED, f"rules are in place, but {limit}", Grade.NONE)
        return Judgement(Verdict.CONTAINED, "rules are in place and no connection is left")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Remove our rules; a chain that somebody else changed is left alone."""
        outcomes = {key: _disarm(resource, key, now.objects.get(key)) for key in before.objects}
        return Reversal(outcomes, "rules removed; ended connections must be opened again")

    def probe(self, resource: Resource) -> Judgement | None:
        """Connect as the agent once nothing of it lives."""
        wanted, nets = tree.of(resource), _nets(resource)
        if not any(net.pids for net in nets) and _lacks_cgroup(wanted):
            return Judgement(
                Verdict.NOT_CONTAINED, "its cgroup, and with it the rule, was removed by systemd"
            )
        return probe.attempt(wanted, nets)


def _items(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _table(resource: Resource) -> tuple[str, str]:
    return str(resource.params["table"]), f"c{tree.short(str(resource.params['tree']))}"


def _nets(resource: Resource) -> tuple[Net, ...]:
    wanted = tree.of(resource)
    seen = membership.look(wanted)
    found = network.nets(wanted, seen.table, seen.members, network.planned(resource.params.get("nets")))
    for net in found:
        netns.reach(net.inode, net.pids)
    return found


def _selectors(wanted: Tree, net: Net, hierarchy: Hierarchy | None) -> tuple[nft.Selector, ...]:
    if net.how is How.WHOLE:
        return (nft.WHOLE,)
    return nft.selectors(wanted, hierarchy) if net.how is How.MATCH else ()


def _lacks_cgroup(wanted: Tree) -> bool:
    """Return whether systemd removed the cgroup of a unit: the next start would make one without rules."""
    own = cgroup.writable()
    return wanted.is_unit and bool(wanted.cgroup) and own is not None and not own.inode(wanted.cgroup)


def _read(resource: Resource, wanted: Tree, net: Net, hierarchy: Hierarchy | None) -> Json:
    """Return rules and sockets of one namespace; one that nobody lives in and nothing names is gone."""
    rules: list[Json] = [one.comment for one in _selectors(wanted, net, hierarchy)]
    if net.how is How.MATCH and _lacks_cgroup(wanted):
        rules.append("breakglass cgroup 0")
    found: dict[str, Json] = {"how": net.how.value, "wanted": rules, "gone": False, "hidden": False}
    if not netns.reach(net.inode, net.pids):
        return {**found, "gone": not net.pids, "hidden": bool(net.pids), "armed": [], "sockets": []}
    table, chain = _table(resource)
    request: dict[str, Json] = {"select": network.selection(wanted, net, hierarchy), "kill": False}
    if program := nft.program():
        request |= {"nft": program, "list": ["list", "chain", "inet", table, chain]}
    answer = netns.run(net.inode, request)
    armed = nft.armed(str(answer.get("chain", "")))
    return {
        **found,
        "armed": list(armed or ()),
        "foreign": armed is None,
        "sockets": answer.get("sockets", []),
    }


def _cut(resource: Resource, wanted: Tree, net: Net, hierarchy: Hierarchy | None) -> str:
    """Arm one namespace and destroy what it holds; return what went wrong, empty: nothing."""
    table, chain = _table(resource)
    request: dict[str, Json] = {"select": network.selection(wanted, net, hierarchy), "kill": True}
    if net.how is not How.SHARED:
        rules, program = _selectors(wanted, net, hierarchy), nft.program()
        if program is None or not rules:
            raise Denied(
                "nft is not installed" if program is None else f"cgroup {wanted.cgroup} is not there"
            )
        request |= {
            "nft": program,
            "script": nft.arm_script(table, chain, rules),
            "list": ["list", "chain", "inet", table, chain],
        }
    answer = netns.run(net.inode, request)
    return str(answer.get("load_error", "")) if answer.get("loaded", 0) != 0 else ""


def _disarm(resource: Resource, key: str, now: Json) -> Outcome:
    """Remove our chain from one namespace, and the table with its last chain."""
    inode = int(key.removeprefix("net:"))
    if not isinstance(now, Mapping) or now.get("gone") or not netns.reach(inode, ()):
        return Outcome.ALREADY
    if now.get("foreign"):
        return Outcome.DRIFTED
    table, chain = _table(resource)
    program = nft.program()
    if program is None or not _items(now.get("armed")):
        return Outcome.ALREADY
    answer = netns.run(inode, {"nft": program, "list": ["list", "table", "inet", table]})
    chains = [line for line in str(answer.get("chain", "")).splitlines() if line.strip().startswith("chain ")]
    script = nft.disarm_script(table, chain, last=len(chains) <= 1)
    answer = netns.run(inode, {"nft": program, "script": script, "list": ["list", "tables"]})
    if answer.get("loaded") != 0:
        raise ProviderError(f"nft refused to remove the rules: {answer.get('load_error')}")
    return Outcome.RESTORED


ACTION_CLASSES = (CutEgress,)
