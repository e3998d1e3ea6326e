"""Asks PAM itself whether it would let an account in: pam_start(3) and pam_acct_mgmt(3), service by service.

In a process of its own: what the host's PAM modules do, print or wait for must not reach the executor.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_host import safepath
from breakglass_host.accounts import programs

FOLDERS = ("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d")
LOGINS = (
    *("login", "remote", "sshd", "su", "su-l", "sudo", "sudo-i", "doas", "cron", "crond", "atd"),
    *(
        "systemd-user",
        "cockpit",
        "gdm-password",
        "lightdm",
        "sddm",
        "xdm",
        "xrdp-sesman",
        "vsftpd",
        "proftpd",
    ),
)
"""The services that start something as a user; those that are not installed are not asked."""
NOLOGIN = ("/etc/nologin", "/run/nologin")
_LETS_IN = {0: "success", 12: "success, a new password is due"}
_REFUSES = {6: "permission denied", 7: "authentication failure", 13: "account expired"}
"""pam_acct_mgmt(3). Debian's common-account turns "account expired" into pam_deny's answer, 7."""
_PATIENCE_S = 8.0
_CHILD = """
import ctypes, json, os, sys
account, services = json.loads(sys.stdin.read())
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
try:
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
except OSError as error:
    print(json.dumps({"error": str(error)[:200]}), file=answer, flush=True)
    raise SystemExit(0)
P, I = ctypes.c_void_p, ctypes.c_int
libc.calloc.restype, libc.calloc.argtypes = P, [ctypes.c_size_t, ctypes.c_size_t]
pam.pam_acct_mgmt.argtypes, pam.pam_end.argtypes = [P, I], [P, I]
pam.pam_set_item.argtypes = [P, I, ctypes.c_char_p]
class Conversation(ctypes.Structure):
    _fields_ = [("call", P), ("data", P)]
@ctypes.CFUNCTYPE(I, I, P, ctypes.POINTER(P), P)
def talk(count, messages, responses, data):
    responses[0] = libc.calloc(count, 2 * ctypes.sizeof(P))
    return 0
conversation = Conversation(ctypes.cast(talk, P), None)
for service in services:
    handle = P()
    code = pam.pam_start(service.encode(), account.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    started = code == 0
    if started:
        pam.pam_set_item(handle, 3, b"ssh")
        code = pam.pam_acct_mgmt(handle, 0)
        pam.pam_end(handle, code)
    print(json.dumps({"service": service, "started": started, "code": code}), file=answer, flush=True)
"""
"""PAM_TTY (3) is what sshd(8) sets where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What PAM said."""

    codes: Mapping[str, int | None]
    """By service; None: it did not answer."""
    error: str = ""
    """Why nothing could be asked."""


def services(*, sshd_asks_pam: bool = True) -> tuple[str, ...]:
    """Return the login services that are configured on this host."""
    wanted = (one for one in LOGINS if one != "sshd" or sshd_asks_pam)
    return tuple(one for one in wanted if any(Path(folder, one).exists() for folder in FOLDERS))


def ask(account: str, wanted: Sequence[str]) -> Answers:
    """Ask about an account; never raises."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own text
            [sys.executable, "-I", "-S", "-B", "-c", _CHILD],
            input=json.dumps([account, list(wanted)]).encode(),
            capture_output=True,
            check=False,
            env={"LC_ALL": "C", "PATH": ":".join(programs.PATH)},
            cwd="/",
            timeout=_PATIENCE_S,
        )
        out = done.stdout
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
    except OSError as error:
        return Answers({}, f"PAM cannot be asked: {error.strerror}")
    return parse(out, wanted)


def parse(out: bytes, wanted: Sequence[str]) -> Answers:
    """Read what the child printed, as far as it came."""
    codes: dict[str, int | None] = dict.fromkeys(wanted)
    for line in out.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if "error" in found:
            return Answers({}, f"PAM cannot be asked: {safepath.shown(str(found['error']))}")
        if found["started"] and found["service"] in codes:
            codes[found["service"]] = int(found["code"])
    return Answers(codes)


def judge(answers: Answers) -> Judgement:
    """Contained: every service that PAM guards refuses the account."""
    if answers.error or not answers.codes:
        return Judgement(Verdict.UNKNOWN, answers.error or "PAM guards no login service here", Grade.NONE)
    open_ = [f"{name} ({_LETS_IN[code]})" for name, code in answers.codes.items() if code in _LETS_IN]
    if open_:
        reason = f"PAM lets the account in through {', '.join(open_)}: its stack checks no expiry"
        return Judgement(Verdict.NOT_CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
    unclear = [f"{name} ({code})" for name, code in answers.codes.items() if code not in _REFUSES]
    if unclear:
        return Judgement(Verdict.UNKNOWN, f"PAM gave no clear answer for {', '.join(unclear)}", Grade.NONE)
    if standing := [path for path in NOLOGIN if Path(path).exists()]:
        reason = f"{standing[0]} refuses everybody now, so PAM's answer says nothing of this account"
        return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
    words = ", ".join(f"{name}: {_REFUSES[code or 0]}" for name, code in answers.codes.items())
    return Judgement(Verdict.CONTAINED, f"PAM refuses the account ({words})", Grade.PLATFORM_EVALUATOR)
