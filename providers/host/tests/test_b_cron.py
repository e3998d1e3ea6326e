"""A real cron, a real atd, the real crontab and at: in mount and pid namespaces of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.model.action import Verdict
from breakglass_host.actions.scheduled_jobs import SetSchedulesAside, propose
from providers.host.tests.rig_b import AGENT_UID, connection, public_folder, stop
from tests.backends import need

NEIGHBOUR_UID = AGENT_UID + 1
ROOT = Path(__file__).parents[3]
IN_A_NEW_WORLD = ("unshare", "-m", "-p", "-f", "--mount-proc", "--propagation", "private", "--kill-child")

OWN_ETC = """
set -e
mkdir -p {root}/upper {root}/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={root}/upper,workdir={root}/work /etc
for one in bot:{bot} neighbour:{neighbour}; do
    echo "${{one%:*}}:x:${{one#*:}}:${{one#*:}}::/:/bin/sh" >> /etc/passwd
    echo "${{one%:*}}:*:19000:0:99999:7:::" >> /etc/shadow
done
rm -f /etc/cron.allow /etc/cron.deny /etc/at.allow
"""
DAEMONS = """
mount --bind {root}/crontabs /var/spool/cron/crontabs
mount --bind {root}/atjobs /var/spool/cron/atjobs
mount -t tmpfs tmpfs /run
cron -f & atd -f &
sleep 0.3
for one in bot:{bot} neighbour:{neighbour}; do
    name=${{one%:*}}; id=${{one#*:}}
    echo "echo ran >> {root}/out/at-$name" | setpriv --reuid $id --regid $id --clear-groups at now + 1 minute
done
echo ready
wait
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    with public_folder() as path:
        yield path


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Make the folders that stand for the spools; everybody may write results."""
    programs = ("cron", "atd", "crontab", "at", "unshare", "setpriv")
    missing = [name for name in programs if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    need("host", os.geteuid() == 0 and not missing, f"root and cron and at are needed; missing: {missing}")
    for name, mode in (("crontabs", 0o1730), ("atjobs", 0o1770), ("out", 0o777)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    shutil.chown(tmp_path / "crontabs", "root", "crontab")
    shutil.chown(tmp_path / "atjobs", "daemon", "daemon")
    (tmp_path / "atjobs" / ".SEQ").write_text("0\n")
    shutil.chown(tmp_path / "atjobs" / ".SEQ", "daemon", "daemon")
    return tmp_path


@contextlib.contextmanager
def daemons(world: Path) -> Iterator[subprocess.Popen[str]]:
    """Run cron and atd until the block ends; they end with their namespace."""
    script = (OWN_ETC + DAEMONS).format(root=world, bot=AGENT_UID, neighbour=NEIGHBOUR_UID)
    with subprocess.Popen(
        [*IN_A_NEW_WORLD, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_no_job_of_the_agent_fires_any_more_and_the_neighbour_s_do(world: Path) -> None:
    """The daemons had loaded both before; at the next minute only the neighbour's run."""
    for name, uid in (("bot", AGENT_UID), ("neighbour", NEIGHBOUR_UID)):
        table = world / "crontabs" / name
        table.write_text(f"* * * * * echo ran >> {world}/out/cron-{name}\n")
        table.chmod(0o600)
        shutil.chown(table, uid, "crontab")
    if (left_s := 60 - time.time() % 60) < 8:
        time.sleep(left_s + 0.1)
    settings = {
        "user": str(AGENT_UID),
        "crontab": f"{world}/crontabs/bot",
        "at_spool": f"{world}/atjobs",
    }
    where = connection(world / "incident", settings)  # type: ignore[arg-type]  # texts are JSON
    with daemons(world) as running:
        assert running.stdout is not None
        said = [line for line in iter(running.stdout.readline, "ready\n") if line][:50]
        assert 2 == sum(line.startswith("job ") for line in said), said
        assert 3 == len([*(world / "atjobs").iterdir()])
        action, target = SetSchedulesAside(where), propose(where, None, "kill").proposals[0].target
        stop(action, target)
        judged = action.judge(target, action.observe(target))
        deadline = time.monotonic() + 60 - time.time() % 60 + 15
        wanted = {world / "out" / "cron-neighbour", world / "out" / "at-neighbour"}
        while time.monotonic() < deadline and not all(path.exists() for path in wanted):
            time.sleep(0.2)
        time.sleep(1)

    assert Verdict.CONTAINED is judged.verdict
    assert {path.name for path in wanted} == {path.name for path in (world / "out").iterdir()}


ASKED = """
import json, sys
sys.path.insert(0, {repo!r})
from pathlib import Path
from providers.host.tests.rig_b import connection, stop
from breakglass_host.actions.relaunch import BlockRelaunch, propose
where = connection(Path({root!r}) / "incident", {{"user": "bot"}})
step = propose(where, None, "kill").proposals[0]
action = BlockRelaunch(where)
lists = {{path: Path(path).read_bytes() for path in ("/etc/at.deny",)}}
before = action.probe(step.target)
prior = stop(action, step.target, rounds=2)
after = action.probe(step.target)
action.revert(step.target, prior, action.observe(step.target))
again = action.probe(step.target)
print(json.dumps([before.verdict, after.verdict, after.grade, again.verdict, str(step.best_grade)]))
same = lists == {{path: Path(path).read_bytes() for path in lists}}
print(json.dumps(same and not Path("/etc/cron.deny").exists()))
"""


def test_the_installed_crontab_and_at_refuse_the_blocked_user(world: Path) -> None:
    """They are asked as the user: let in before, refused during the stop, let in after the restore."""
    script = OWN_ETC.format(root=world, bot=AGENT_UID, neighbour=NEIGHBOUR_UID) + 'exec "$0" -c "$1"'
    asked = ASKED.format(repo=str(ROOT), root=str(world))
    done = subprocess.run(
        [*IN_A_NEW_WORLD, "sh", "-c", script, sys.executable, asked],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == done.stderr
    answers, same_bytes = (json.loads(line) for line in done.stdout.splitlines())
    assert ["not_contained", "contained", "refused_as_agent", "not_contained", "None"] == answers
    assert same_bytes
