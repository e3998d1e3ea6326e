"""Decides which sudoers files are the agent's alone and which name it beside others: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from breakglass_host.accounts.sudo_rules import SudoersFile, resolved

_MAX_DEPTH = 128


@dataclass(frozen=True, slots=True)
class Subject:
    """An account as sudo sees it."""

    name: str
    uid: int
    groups: Mapping[str, int]
    """Names and gids of the groups that it is a member of."""
    own_groups: frozenset[str]
    """Those of them that have no other member."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Which files let the account do something."""

    own: tuple[str, ...]
    """Drop-ins whose rules name nobody else, and which hold nothing that others need."""
    shared: tuple[tuple[str, str], ...]
    """The others, each with the reason why it is not touched."""
    asks_account: bool
    """False where sudo is told not to ask PAM about the account (sudoers(5), pam_acct_mgmt)."""


def of(files: Sequence[SudoersFile], who: Subject) -> Claims:
    """Sort the files."""
    aliases: dict[str, tuple[str, ...]] = {}
    for file in files:
        aliases |= file.aliases or {}
    own, shared = [], []
    for file in files:
        if not any(_applies(rule, aliases, who) for rule in file.rules):
            continue
        if why := _not_alone(file, files, aliases, who):
            shared.append((file.path, why))
        else:
            own.append(file.path)
    asks = not any(re.search(r"!\s*pam_acct_mgmt", file.text) for file in files)
    return Claims(tuple(own), tuple(shared), asks)


def _not_alone(
    file: SudoersFile, files: Sequence[SudoersFile], aliases: Mapping[str, tuple[str, ...]], who: Subject
) -> str:
    """Say why a file that names the account cannot be taken away; empty: it can."""
    if not file.is_drop_in:
        return "it is no drop-in but a file that sudo must find"
    if file.sets:
        return f"it holds {file.sets[0]} too"
    for rule in file.rules:
        for item in sorted(resolved(rule, aliases)):
            if not _is_alone(item, who):
                return f"its rules name {item} too"
    for alias in file.aliases or {}:
        word = re.compile(rf"\b{re.escape(alias)}\b")
        if any(word.search(other.text) for other in files if other.path != file.path):
            return f"another file uses its alias {alias}"
    return ""


def _applies(rule: Sequence[str], aliases: Mapping[str, tuple[str, ...]], who: Subject) -> bool:
    """Return whether a user list lets the account in: the last item that means it decides (sudoers(5)).

    Netgroups are left to sudo itself.
    """
    for item in reversed([*_flat(rule, aliases)]):
        if _means(item.lstrip("!"), who):
            return not item.startswith("!")
    return False


def _flat(items: Sequence[str], aliases: Mapping[str, tuple[str, ...]], depth: int = 0) -> Iterator[str]:
    """Yield the items in order, aliases replaced by what they stand for, each negated once or not at all."""
    for item in items:
        bare = item.lstrip("!")
        is_not = (len(item) - len(bare)) % 2 == 1
        if bare not in aliases or depth > _MAX_DEPTH:
            yield f"!{bare}" if is_not else bare
            continue
        for one in _flat(aliases[bare], aliases, depth + 1):
            yield (one[1:] if one.startswith("!") else f"!{one}") if is_not else one


def _means(item: str, who: Subject) -> bool:
    if item.startswith("%#"):
        return item[2:] in {str(gid) for gid in who.groups.values()}
    if item.startswith("%"):
        return item[1:] in who.groups
    return item in ("ALL", who.name, f"#{who.uid}")


def _is_alone(item: str, who: Subject) -> bool:
    if item.startswith("%#"):
        own = {str(gid) for name, gid in who.groups.items() if name in who.own_groups}
        return item[2:] in own
    if item.startswith("%"):
        return item[1:] in who.own_groups
    return item in (who.name, f"#{who.uid}")
