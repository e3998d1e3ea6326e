"""A running container of Cloud Run or step of a workflow: it acts as its account, and also without Google."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakglass_gcp.sandbox import authorise, tokens
from breakglass_gcp.sandbox.call import Caller, Refusal
from breakglass_gcp.sandbox.projects import project_in

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

TOKENS = "run.tokens"
DOES = "storage.objects.list"
"""What it tries to do by Google's interfaces each time."""


def work(world: World, name: str, channel: str, account: str) -> None:
    """Do one tick's work: call the world outside (always), and Google with a token of the account.

    The metadata server gives a workload a token, and another when that one has ended; of an account that is
    disabled none is given, and the ones that were given are refused (IAM REST reference,
    serviceAccounts.disable).
    """
    project = world.normal(name).split("/")[1]
    world.effects.mark(channel, project=project)
    caller = _caller(world, name, account)
    if caller is not None and authorise.allowed(world, caller, DOES, f"projects/{project}"):
        world.effects.mark(f"{channel}:api", project=project)


def _caller(world: World, name: str, account: str) -> Caller | None:
    if not account:
        return None
    held = world.table(TOKENS)
    for _ in range(2):
        if name in held:
            try:
                return tokens.caller_of(world, f"Bearer {held[name]}")
            except Refusal:
                del held[name]
        try:
            held[name] = world.mint(account, world.settings.token_life_s)
        except Refusal:
            return None
    return None


def forget(world: World, name: str) -> None:
    """Drop what a workload held: it has ended."""
    world.table(TOKENS).pop(name, None)


def account_of(world: World, named: str, project: str) -> str:
    """Return the e-mail address of the account that a template names; the default one where it names none."""
    if named:
        return named.rpartition("/")[2]
    record = world.find_project(project or project_in(named))
    return f"{record.number}-compute@developer.gserviceaccount.com" if record else ""


def caller_named(world: World, account: str) -> Caller:
    """Return who the platform calls as, when it shows a token of an account that is enabled."""
    return Caller(account, "serviceAccount", "", world.table(tokens.EMAILS).get(account, ""))
