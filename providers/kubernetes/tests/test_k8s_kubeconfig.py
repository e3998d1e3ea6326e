"""A kubeconfig is read by us alone, and refused in words where it cannot be right or safe."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breakglass.clock import Instant, SystemClock
from breakglass.errors import Denied, Unreachable
from breakglass_kubernetes import lifetime
from breakglass_kubernetes.credential import Credential
from breakglass_kubernetes.kubeconfig import Context, Plugin, ca_der, read
from breakglass_kubernetes.plugin import run_plugin

SECRET = "correct-horse-battery"  # noqa: S105 - nobody's
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
WHOLE = """
apiVersion: v1
kind: Config
current-context: one
contexts:
- {{name: one, context: {{cluster: c, user: u}}}}
clusters:
- {{name: c, cluster: {{server: "https://127.0.0.1:1", certificate-authority-data: {ca}{cluster}}}}}
users:
- {{name: u, user: {user}}}
{more}"""


def config(*, user: str = "", cluster: str = "", more: str = "") -> bytes:
    """Return a kubeconfig."""
    ca = base64.b64encode(PEM.encode()).decode()
    return WHOLE.format(ca=ca, cluster=cluster, user=user or f"{{token: {SECRET}}}", more=more).encode()


def parsed(data: bytes, *, wanted: str = "", folder: Path | None = None) -> Context:
    """Read it."""
    return read(data, wanted, where="kubeconfig", folder=folder)


def test_a_context_is_read_and_shows_no_secret() -> None:
    """Neither its token nor what its plug-in or proxy is given can be seen in a repr."""
    plugin = f"{{exec: {{command: x, args: [{SECRET}], env: [{{name: A, value: {SECRET}}}]}}}}"
    one = parsed(config(cluster=f', proxy-url: "http://u:{SECRET}@127.0.0.1:3"'))
    two = parsed(config(user=plugin))

    assert one.identity.token == SECRET
    assert one.name == "one"
    assert SECRET not in repr(one) + repr(two)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"- a\n- b\n", "no kubeconfig"),
        (b"x" * 2_000_000, "larger"),
        (b"contexts: 5\nclusters: {}\nusers: null\n", "no context"),
        (b"!!python/object/apply:os.system [true]", "not YAML"),
        (config(more="- {name: u, user: {token: b}}\n"), "2 times"),
        (config(cluster=", insecure-skip-tls-verify: true"), "anybody on the way"),
        (config(user="{auth-provider: {name: gcp}}"), "auth-provider"),
        (config(user="{username: a, password: b}"), "username"),
        (config(user="{token: t, as: root}"), "'as'"),
        (config(user="{token: t, as-groups: [a]}"), "as-groups"),
        (config(user="{}"), "user 'u' is not in it"),
        (config(user="{other: x}"), "no credential"),
        (config(user="{exec: {args: [a]}}"), "no command"),
        (config(user="{exec: {command: a, args: [[1]]}}"), "arguments"),
        (config(user="{client-certificate-data: '%%'}"), "not base64"),
        (config(user="{client-certificate: rel/a.pem}"), "relative path"),
        (config(user="{tokenFile: rel/token}"), "relative path"),
        (config(cluster=", proxy-url: 'socks5://127.0.0.1:1'"), "proxy-url"),
        (config(cluster=", proxy-url: 'http://[::bad'"), "proxy-url"),
    ],
)
def test_what_cannot_be_right_is_refused_in_words(data: bytes, words: str) -> None:
    """One line; nothing of what is secret in it."""
    with pytest.raises(Denied, match=words) as caught:
        parsed(data)
    assert SECRET not in f"{caught.value} {caught.value.remedy}"


def test_a_context_that_is_not_there_names_those_that_are() -> None:
    """So that a slip is seen at once."""
    with pytest.raises(Denied, match=r"'two' is not in it \(there: one\)"):
        parsed(config(), wanted="two")


def test_aliases_that_stand_for_more_than_all_memory_are_refused_at_once() -> None:
    """By reference and by merge."""
    lists = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    maps = "a: &a {k: v}\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{', '.join([f'*{chr(97 + n)}'] * 9)}]}}\n" for n in range(9)
    )
    before = time.monotonic()
    for bomb in (lists, maps):
        with pytest.raises(Denied, match="aliases"):
            parsed(bomb.encode())

    assert time.monotonic() - before < 20


def test_nesting_without_end_is_refused() -> None:
    """The parser would run out of stack."""
    with pytest.raises(Denied, match="not YAML"):
        parsed(b"[" * 100_000)


def test_relative_paths_are_those_beside_the_file(tmp_path: Path) -> None:
    """As kubectl resolves them."""
    (tmp_path / "token").write_text("t\n")
    context = parsed(config(user="{tokenFile: token}"), folder=tmp_path)

    assert Credential(context.identity, SystemClock(), where="test").now.token == "t"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no certificate",
        PEM.replace("CERTIFICATE", "TRUSTED CERTIFICATE").encode(),
        PEM.encode() + PEM.replace("CERTIFICATE", "X509 CERTIFICATE").encode(),
        PEM.replace("AAAA", "AAA").encode(),
        PEM.replace("AAAA", "%%%%").encode(),
    ],
)
def test_a_ca_file_with_anything_beside_certificates_is_refused(pem: bytes) -> None:
    """OpenSSL would trust what the pinned digest does not cover."""
    with pytest.raises(Denied):
        ca_der(pem, where="test")


def test_an_empty_ca_file_never_means_the_roots_of_the_system(tmp_path: Path) -> None:
    """Anybody with a public certificate could answer in the cluster's place."""
    (tmp_path / "ca").touch()
    ca = base64.b64encode(PEM.encode()).decode()
    data = config().replace(f"certificate-authority-data: {ca}".encode(), b"certificate-authority: ca")

    with pytest.raises(Denied, match="empty"):
        parsed(data, folder=tmp_path)


# -- credential plug-ins ----------------------------------------------------------------------------------


def plugin(script: str, *arguments: str) -> Plugin:
    """Return a plug-in that runs a script of the shell's."""
    return Plugin(("/bin/sh", "-c", script, *arguments), {}, "client.authentication.k8s.io/v1", None)


def test_a_plugin_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """Also where it ignores signals."""
    pids = tmp_path / "pids"
    script = f"trap '' TERM INT HUP; sleep 300 & echo $! > {pids}; echo $$ >> {pids}; wait"
    before = time.monotonic()

    with pytest.raises(Unreachable, match="gave no answer"):
        run_plugin(plugin(script), where="test", within_s=1)

    assert time.monotonic() - before < 60
    time.sleep(0.2)
    assert not [pid for pid in pids.read_text().split() if alive(int(pid))]


def alive(pid: int) -> bool:
    """Return whether a process runs still; a dead one that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_plugin_without_end_is_ended() -> None:
    """What it prints is read up to a bound."""
    with pytest.raises(Unreachable):
        run_plugin(plugin("yes"), where="test", within_s=1)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo garbage", "printed no ExecCredential"),
        ("true", "printed no ExecCredential"),
        ('echo \'{"status": {"token": ["a"]}}\'', "printed no ExecCredential"),
        ('echo \'{"status": {"clientCertificateData": "a"}}\'', "printed no ExecCredential"),
        ("head -c 3000000 /dev/zero", "printed no ExecCredential"),
        ("echo sign on first >&2; exit 3", "sign on first"),
        ("read answer < /dev/tty || exit 9", "failed"),
        ("read answer || exit 9", "failed"),
        (f"echo password={SECRET} >&2; exit 1", "REDACTED"),
    ],
)
def test_a_plugin_that_does_not_do_what_it_should_is_refused(script: str, words: str) -> None:
    """Garbage, silence, failure, a question at a terminal: none waits, and none tells a secret."""
    with pytest.raises(Denied, match=words) as caught:
        run_plugin(plugin(script), where="test", within_s=5)
    assert SECRET not in str(caught.value)


def test_a_plugin_that_is_missing_is_named() -> None:
    """With what the system says of it."""
    with pytest.raises(Denied, match="No such file"):
        run_plugin(Plugin(("/nonexistent/plugin",), {}, "v1", None), where="test")


def test_a_plugin_learns_that_nobody_sits_there() -> None:
    """By KUBERNETES_EXEC_INFO."""
    script = 'printf \'{"status": {"token": "%s"}}\' "$(echo $KUBERNETES_EXEC_INFO | tr -dc a-z)"'

    assert "interactivefalse" in run_plugin(plugin(script), where="test").token


def test_waiting_threads_do_not_run_a_hanging_plugin_one_after_another(tmp_path: Path) -> None:
    """One look for all of them."""
    count, slow = tmp_path / "count", tmp_path / "slow"
    script = f'echo x >> {count}; [ -e {slow} ] && sleep 2; echo \'{{"status": {{"token": "t"}}}}\''
    context = parsed(config(user=f"{{exec: {{command: /bin/sh, args: [-c, {json.dumps(script)}]}}}}"))
    credential = Credential(context.identity, SystemClock(), where="test")
    time.sleep(1.1)
    slow.touch()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _n: credential.renew(), range(8)))

    assert count.read_text().count("x") == 2


def test_an_expired_token_says_when_it_ended() -> None:
    """Read here, without asking anybody; what is no JWT says nothing."""
    claims = base64.urlsafe_b64encode(b'{"exp": 1700000000}').decode().rstrip("=")
    now = Instant.parse("2026-01-01T00:00:00Z")

    assert lifetime.ended(f"a.{claims}.b", b"", now) == (
        "the executor's token expired at 2023-11-14T22:13:20.000Z"
    )
    assert lifetime.ended("opaque", b"no pem", now) == ""
    for hostile in ("a.!!!.b", "a..b", "a.W1td.b", f"a.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.b"):
        assert lifetime.of_token(hostile) is None
