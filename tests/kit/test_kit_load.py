"""A kit: what is read of a good one, and each mistake with its place and a suggestion."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from breakglass.errors import MalformedInput, UsageError
from breakglass.kit.load import load_kit
from breakglass.kit.model import Deadlines, Effect
from breakglass.model.action import Capability
from breakglass.model.plan import TwoPersonRule
from breakglass.model.resource import AgentRef
from breakglass.provider import Card
from breakglass.registry import card
from tests.kit.kits import (
    AGENT,
    NOON,
    ORG,
    RUNBOOK,
    SETTINGS,
    cards,
    load_draft,
    refusal,
    roster_bytes,
    snapshot,
    write_kit,
)

AWS_KNOWS = "a reach of provider aws knows: account, region, as, roles, functions, shared"
AGENT_KNOWS = "an agent knows: agent, owner, class, who_can_stop, runbook, reach, deployers, tools"


def test_a_kit_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Settings, agents, runbooks and roster arrive as values, with the place of each reach."""
    folder = write_kit(tmp_path)
    kit = load_draft(folder)
    agent = kit.agent("support-bot")

    assert (ORG, 1, False, TwoPersonRule.ENFORCED) == (
        kit.settings.org,
        kit.version,
        kit.settings.drill,
        kit.settings.two_person_rule,
    )
    assert Path("/etc/breakglass/log.key") == kit.settings.executors[0].log_key_file
    assert Deadlines(60, 900, 1800) == kit.settings.deadlines
    assert AgentRef("support-bot", "support-platform", "customer-facing") == agent.ref
    assert "prompt-injection" == agent.runbook
    aws, oauth = agent.reaches
    assert f"{folder}/agents/support-bot.yaml:6:5" == aws.where
    assert {
        "account": "123456789012",
        "region": "eu-west-1",
        "as": "arn:aws:iam::123456789012:role/breakglass-executor",
        "functions": ["support-bot-worker"],
    } == aws.settings
    assert {"file": "/var/lib/support-bot/token"} == oauth.settings["token"]
    refund, search = agent.tools
    assert (Effect.MONEY, "Stripe", "pay") == (refund.effect, refund.issuer, refund.owner)
    assert (Effect.READ, "", "support-platform") == (search.effect, search.credential, search.owner)
    assert ("argocd", {"namespace": "argocd"}) == (agent.deployers[0].kind, agent.deployers[0].settings)
    assert "Something happened." == kit.runbook("hush").playbook.what_happened
    assert 5 == len(kit.runbooks)
    assert ("kit.json is missing; the kit was never sealed",) == kit.unsealed


def with_line(text: str, number: int, line: str) -> str:
    """Return `text` with one line replaced."""
    lines = text.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("number", "line", "where", "what"),
    [
        (
            10,
            "    function: [x]",
            "10:5",
            f'unknown key "function"; did you mean "functions"?\n  {AWS_KNOWS}',
        ),
        (
            7,
            "    account: 123456789012",
            "7:14",
            ('account: expected a text, found the number 123456789012; put it in quotes: "123456789012"'),
        ),
        (7, "    account: [a]", "7:14", "account: expected a text, found a list"),
        (7, "    account:", "7:13", "account: expected a text, found nothing"),
        (7, "    account: ~", "7:14", "account: expected a text, found nothing"),
        (7, "    account: true", "7:14", 'account: expected a text, found true; put it in quotes: "true"'),
        (7, "    account: ' 1'", "7:14", 'account: expected a text without spaces around it, found " 1"'),
        (7, '    account: "a\\nb"', "7:14", "account: expected one line, found several"),
        (7, "    shared: true", "6:5", f'missing key "account"\n  {AWS_KNOWS}'),
        (9, "    shared: no", "9:13", 'shared: expected true or false, found the text "no"; write false'),
        (9, "    shared: on", "9:13", 'shared: expected true or false, found the text "on"; write true'),
        (
            10,
            "    functions: x",
            "10:16",
            'functions: expected a list of texts, found the text "x"; write [x]',
        ),
        (
            10,
            "    functions: [x, 5]",
            "10:20",
            'functions: expected a text, found the number 5; put it in quotes: "5"',
        ),
        (10, "    functions: [x, x]", "10:20", 'functions: "x" is listed twice'),
        (10, "", "6:5", "no function and no role\n  a reach of provider aws"),
        (6, "  - provider: gcp", "6:15", 'provider: "gcp" is not installed\n  breakglass providers list'),
        (6, "  - providr: aws", "6:5", 'a reach names its provider: "provider: host"'),
        (
            14,
            "    token: /var/lib/x",
            "14:12",
            ('token: expected a mapping of text to text, found the text "/var/lib/x"'),
        ),
        (
            14,
            "    token: {file: 5}",
            "14:19",
            'token.file: expected a text, found the number 5; put it in quotes: "5"',
        ),
        (1, "agent: other-bot", "1:8", 'agent: "other-bot" stands in support-bot.yaml; name both alike'),
        (2, "ownr: x", "2:1", f'unknown key "ownr"; did you mean "owner"?\n  {AGENT_KNOWS}'),
        (
            3,
            "runbook: runway",
            "3:10",
            (
                'runbook: "runway" does not exist; did you mean "runaway"?\n  runbooks:'
                " prompt-injection, runaway, credential-compromise, policy-service-failure, hush"
            ),
        ),
        (3, "class: a b", "3:8", 'class: "a b" is not a short ASCII name'),
        (
            16,
            "  - {kind: argo, name: x}",
            "16:12",
            (
                'kind: "argo" is none of: argocd, flux, github-actions, gitlab-ci, unit, cron, '
                "codepipeline, cloudformation, codedeploy; "
                'did you mean "argocd"?'
            ),
        ),
        (
            16,
            "  - {kind: argocd, name: x}",
            "16:5",
            ('missing key "namespace"\n  a deployer of kind argocd knows: kind, name, namespace'),
        ),
        (
            18,
            "  - {name: a, effect: mony}",
            "18:23",
            ('effect: "mony" is none of: read, write, external, money, irreversible; did you mean "money"?'),
        ),
        (
            18,
            "  - {name: search-tickets, effect: read}",
            "19:12",
            'name: tool "search-tickets" is listed twice',
        ),
        (18, "  - refund", "18:5", 'tools: expected a mapping, found the text "refund"'),
        (4, "owner: again", "4:1", 'duplicate key "owner"; it stands on line 2 too'),
        (3, "class: &a x", "3:8", "an anchor (&); write the value out where it is needed"),
        (3, "class: x\u200by", "3:9", "character U+200B may not stand in text that people read"),
        (3, "class: x\u202ey", "3:9", "character U+202E may not stand in text that people read"),
        (3, 'class: "x\\e[31m"', "3:8", "character U+001B may not stand in text that people read"),
    ],
)
def test_a_mistake_in_an_agent_is_named_with_place_and_suggestion(
    tmp_path: Path, number: int, line: str, where: str, what: str
) -> None:
    """The first line of the refusal says file:line:column, what is wrong and what would be right."""
    folder = write_kit(tmp_path, {"agents/support-bot.yaml": with_line(AGENT, number, line)})
    error = refusal(folder)

    assert f"{folder}/agents/support-bot.yaml:{where}" == error.where
    assert error.what.startswith(what)


@pytest.mark.parametrize(
    ("number", "line", "where", "what"),
    [
        (1, "v: 2", "1:4", "v: 2 is not between 1 and 1"),
        (1, "v: '1'", "1:4", 'v: expected a whole number, found the text "1"'),
        (2, "organisation: x", "2:1", 'unknown key "organisation"'),
        (2, "org: other.com", "2:6", 'org: "other.com", but roster.json is of "example.com"'),
        (3, "version: 0", "3:10", "version: 0 is not between 1 and 9007199254740991"),
        (3, "version: 01", "3:10", 'version: expected a whole number, found the text "01"'),
        (
            4,
            "expires: 2026-02-15",
            "4:10",
            'expires: "2026-02-15" is not a UTC time like 2026-01-31T03:12:08Z',
        ),
        (4, "expires: 2026-02-31T00:00:00Z", "4:10", 'expires: "2026-02-31T00:00:00Z" is no such time'),
        (5, "drill: yes", "5:8", 'drill: expected true or false, found the text "yes"; write true'),
        (5, "drill: true", "5:8", "drill: true, but roster.json is a real one"),
        (
            6,
            "two_person_rule: enforce",
            "6:18",
            ('two_person_rule: "enforce" is none of: enforced, advisory; did you mean "enforced"?'),
        ),
        (
            6,
            "two_person_rule: advisory",
            "6:18",
            ('two_person_rule: advisory needs a "two_person_reason": who could act alone, and how'),
        ),
        (
            8,
            "  - name: ops-bastion-2",
            "8:11",
            (
                'name: "ops-bastion-2" does not exist; did you mean "ops-bastion-1"?'
                "\n  executors of the roster: ops-bastion-1"
            ),
        ),
        (9, "    log_key: log.key", "9:14", 'log_key: "log.key" is not an absolute path, or ssh-agent'),
        (9, "    log_key: /a/../b", "9:14", 'log_key: "/a/../b" is not an absolute path, or ssh-agent'),
        (5, "runbook: hushh", "5:10", 'runbook: "hushh" does not exist; did you mean "hush"?'),
        (5, "deadlines: {stop_s: 5, step_s: 9}", "5:12", "deadlines: step_s 9 is longer than stop_s 5"),
        (
            5,
            "deadlines: {step: 9}",
            "5:13",
            ('unknown key "step"; did you mean "step_s"?\n  deadlines knows: step_s, stop_s, sign_s'),
        ),
        (5, "exchange: here", "5:11", 'exchange: "here" is not an absolute path'),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_place_and_suggestion(
    tmp_path: Path, number: int, line: str, where: str, what: str
) -> None:
    """The same for breakglass.yaml, with the names that the roster knows."""
    folder = write_kit(tmp_path, {"breakglass.yaml": with_line(SETTINGS, number, line)})
    error = refusal(folder)

    assert error.where.startswith(f"{folder}/breakglass.yaml:{where}")
    assert error.what.startswith(what)


def test_every_mistake_of_a_kit_is_named_at_once(tmp_path: Path) -> None:
    """Four files with a mistake each are four lines of one refusal, and the first is its place."""
    folder = write_kit(
        tmp_path,
        {
            "breakglass.yaml": with_line(SETTINGS, 5, "dril: false"),
            "agents/support-bot.yaml": with_line(AGENT, 10, "    function: [x]"),
            "agents/other.yaml": "agent: [\n",
            "runbooks/hush.yaml": with_line(RUNBOOK, 6, "  - {capability: stop_workload, deadline_s: 30}"),
        },
    )
    error = refusal(folder)
    text = str(error)

    assert text.startswith(f"{folder}/runbooks/hush.yaml:6:18  capability: ")
    assert 'did you mean "stop_workloads"?' in text
    assert f'\n{folder}/breakglass.yaml:5:1  unknown key "dril"; did you mean "drill"?' in text
    assert f"\n{folder}/agents/other.yaml:2:1  not YAML: " in text
    assert (
        f'\n{folder}/agents/support-bot.yaml:10:5  unknown key "function"; did you mean "functions"?' in text
    )
    assert "Fix the file, then: breakglass kit check" == error.remedy
    assert "nothing was changed" == error.not_done


def test_ten_thousand_mistakes_fit_on_a_screen(tmp_path: Path) -> None:
    """Fifty are shown, the others are counted."""
    many = "".join(f"key{n}: 1\n" for n in range(10_000))
    error = refusal(write_kit(tmp_path, {"agents/support-bot.yaml": AGENT + many}))

    assert error.what.endswith("and 9950 more")


def test_a_file_of_100_mb_is_refused_without_being_read(tmp_path: Path) -> None:
    """Its size is asked first; a sparse file of that size costs nothing."""
    folder = write_kit(tmp_path)
    with (folder / "agents" / "huge.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(MalformedInput, match=r"larger than 2097152 bytes \(104857600\)") as caught:
        load_draft(folder)

    assert f"{folder}/agents/huge.yaml" == caught.value.where


def test_an_agent_file_over_one_mebibyte_is_refused_unparsed(tmp_path: Path) -> None:
    """The cap of a YAML file is lower than that of a roster."""
    error = refusal(write_kit(tmp_path, {"agents/big.yaml": b"#" * (1024 * 1024 + 1)}))

    assert "larger than 1048576 bytes" == error.what


def test_links_pipes_and_devices_are_refused_and_never_opened(tmp_path: Path) -> None:
    """A link to a readable file is refused as one to a device; a pipe does not hang the reader."""
    real = tmp_path / "real.yaml"
    real.write_text(AGENT)
    for name, make in (
        ("link", lambda path: path.symlink_to(real)),
        ("pipe", os.mkfifo),
        ("zero", lambda path: path.symlink_to("/dev/zero")),
    ):
        folder = write_kit(tmp_path / name)
        make(folder / "agents" / f"{name}.yaml")
        with pytest.raises(
            MalformedInput, match=r"a link, and links are not followed|not a regular file"
        ) as caught:
            load_draft(folder)

        assert f"{folder}/agents/{name}.yaml" == caught.value.where


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Somebody else's agents do not become the kit's by a link."""
    elsewhere = write_kit(tmp_path / "elsewhere")
    folder = write_kit(tmp_path / "here")
    (folder / "runbooks" / "hush.yaml").unlink()
    (folder / "runbooks").rmdir()
    (folder / "runbooks").symlink_to(elsewhere / "runbooks")
    with pytest.raises(MalformedInput):
        load_draft(folder)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("agents/other.yml", "is not loaded: agents are files named <name>.yaml"),
        ("agents/.other.yaml.swp", "is not loaded: agents are files named <name>.yaml"),
        ("agents/team/other.yaml", "is not loaded: agents are files named <name>.yaml"),
        ("runbooks/Hush.yaml", "is not loaded: runbooks are files named <name>.yaml"),
        ("agent/other.yaml", 'unknown folder "agent"; did you mean "agents"?\n  a kit has: agents, runbooks'),
    ],
)
def test_a_file_that_would_be_left_out_in_silence_is_named(tmp_path: Path, name: str, what: str) -> None:
    """An agent in a file with another ending could not be stopped, and nobody would know."""
    folder = write_kit(tmp_path, {name: AGENT})
    error = refusal(folder)

    assert (f"{folder}/{name}", what) == (error.where, error.what)


def test_a_file_name_with_control_characters_is_refused_and_shown_escaped(tmp_path: Path) -> None:
    """A name cannot paint the terminal of whoever reads the refusal."""
    error = refusal(write_kit(tmp_path, {"agents/a\x1b[31m\nb.yaml": AGENT}))

    assert "file names here are plain ASCII" == error.what
    assert error.where.endswith(r"agents/a\x1b[31m\nb.yaml")


def test_a_sample_is_not_loaded(tmp_path: Path) -> None:
    """An example for people to copy is no agent."""
    kit = load_draft(write_kit(tmp_path, {"agents/example.yaml.sample": "agent: ["}))

    assert ["support-bot"] == list(kit.agents)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{", "not JSON: "),
        (b"{}", "missing field 'v'"),
        (b'{"v":1,"v":1}', "duplicate key 'v'"),
        (b'{"v":1.5}', "number '1.5' is not an integer"),
    ],
)
def test_a_roster_that_does_not_parse_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    """The roster is strict JSON, and its mistakes stand with the others."""
    error = refusal(write_kit(tmp_path, {"roster.json": data}))

    assert error.where.startswith(str(tmp_path / "kit" / "roster.json"))
    assert error.what.startswith(what)


def test_a_kit_without_a_roster_and_a_folder_that_is_no_kit_are_refused(tmp_path: Path) -> None:
    """Each says what is not there, and what to type."""
    folder = write_kit(tmp_path)
    (folder / "roster.json").unlink()
    assert "is missing: who may sign is written there" == refusal(folder).what

    (tmp_path / "empty").mkdir()
    with pytest.raises(MalformedInput, match=r"there is no breakglass\.yaml, so this is not a kit"):
        load_draft(tmp_path / "empty")
    with pytest.raises(MalformedInput, match="cannot be read: no such file or directory"):
        load_draft(tmp_path / "absent")


def test_a_drills_kit_and_a_real_roster_do_not_mix(tmp_path: Path) -> None:
    """The roster of a drill is refused in a kit that does not say that it is one."""
    error = refusal(write_kit(tmp_path, {"roster.json": roster_bytes(drill=True)}))

    assert "drill: false, but roster.json is a drill's" == error.what


def test_the_same_reach_twice_is_refused(tmp_path: Path) -> None:
    """Two equal entries would run every step twice."""
    again = AGENT.replace(
        "deployers:", AGENT[AGENT.index("  - provider: oauth") : AGENT.index("deployers:")] + "deployers:"
    )
    error = refusal(write_kit(tmp_path, {"agents/support-bot.yaml": again}))

    assert error.where.endswith("support-bot.yaml:15:5")
    assert error.what.startswith("the same reach stands at ")


def test_an_unknown_agent_or_runbook_comes_with_the_nearest_name(tmp_path: Path) -> None:
    """A typing mistake at three in the morning costs one line."""
    kit = load_draft(write_kit(tmp_path))

    with pytest.raises(UsageError, match=r'no agent "suport-bot"; did you mean "support-bot"\?'):
        kit.agent("suport-bot")
    with pytest.raises(UsageError, match=r'no runbook "runwy"; did you mean "runaway"\?'):
        kit.runbook("runwy")


def test_a_provider_that_cannot_be_loaded_is_named_at_its_line(tmp_path: Path) -> None:
    """The registry's own words stand at the place of the name; the real registry knows host and oauth."""
    text = AGENT.replace("provider: oauth", "provider: hosst").replace("provider: aws", "provider: oauht")
    folder = write_kit(tmp_path, {"agents/support-bot.yaml": text})
    with pytest.raises(MalformedInput) as caught:
        load_kit(folder, card, draft=True)

    assert caught.value.where.endswith("support-bot.yaml:6:15")
    assert "provider: no provider is named 'oauht'" in caught.value.what
    assert "provider: no provider is named 'hosst'" in caught.value.what


def test_a_stop_can_read_a_kit_whose_provider_is_not_installed_here(tmp_path: Path) -> None:
    """The other reaches are checked as ever; this one is kept for the plan to say that it was not planned."""
    folder = write_kit(tmp_path)

    def without_aws(name: str) -> Card | None:
        return None if name == "aws" else cards(name)

    kit = load_kit(folder, without_aws, draft=True, absent_ok=True)

    aws, oauth = kit.agent("support-bot").reaches
    assert ["support-bot-worker"] == aws.settings["functions"]
    assert "support-bot" == oauth.settings["client_id"]


def test_reading_a_kit_changes_nothing(tmp_path: Path) -> None:
    """Not a byte, not a name."""
    folder = write_kit(tmp_path)
    before = snapshot(folder)
    load_draft(folder)

    assert before == snapshot(folder)


def test_a_runbook_of_the_kit_wins_over_the_shipped_one(tmp_path: Path) -> None:
    """An organisation may have its own words and order for a known name."""
    own = RUNBOOK.replace("runbook: hush", "runbook: runaway")
    kit = load_draft(write_kit(tmp_path, {"runbooks/runaway.yaml": own}))

    assert "Quietly" == kit.runbook("runaway").title
    assert (Capability.STOP_WORKLOADS, Capability.SNAPSHOT_LOGS) == tuple(
        step.capability for step in kit.runbook("runaway").steps
    )
    assert NOON < kit.expires


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("agents/x.yaml", "- a\n", "expected an agent as a mapping, found a list"),
        ("agents/x.yaml", "a\n", 'expected an agent as a mapping, found the text "a"'),
        ("breakglass.yaml", "5\n", "expected breakglass.yaml as a mapping, found the number 5"),
        ("breakglass.yaml", SETTINGS + "exchange: {a: b}\n", "exchange: expected a text, found a mapping"),
        ("breakglass.yaml", SETTINGS + "deadlines: 5\n", "deadlines: expected a mapping, found the number 5"),
        ("breakglass.yaml", SETTINGS + f"exchange: /{'x' * 2000}\n", "exchange: longer than 2000 characters"),
        (
            "breakglass.yaml",
            SETTINGS.replace("2026-02-15T00:00:00Z", "5"),
            "expires: expected a text, found the number 5",
        ),
        (
            "breakglass.yaml",
            SETTINGS + "  - {name: ops-bastion-1, log_key: ssh-agent}\n",
            'name: executor "ops-bastion-1" is listed twice',
        ),
        (
            "breakglass.yaml",
            SETTINGS[: SETTINGS.index("executors")] + "executors: []\n",
            "executors: at least one machine must be able to run a stop",
        ),
        (
            "agents/support-bot.yaml",
            AGENT[: AGENT.index("reach")] + "reach: []\n",
            "reach: an agent that acts nowhere cannot be stopped anywhere",
        ),
        (
            "agents/support-bot.yaml",
            AGENT + "  - name: x\n    effect: read\n    owner: {a: b}\n",
            "owner: expected a text, found a mapping",
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, path: str, text: str, what: str) -> None:
    """A list where a mapping belongs, a number where a list belongs, nothing where something must be."""
    error = refusal(write_kit(tmp_path, {path: text}))

    assert error.where.startswith(f"{tmp_path}/kit/{path}:")
    assert error.what.startswith(what)


def test_a_folder_that_is_too_deep_or_holds_too_much_is_refused(tmp_path: Path) -> None:
    """A kit is small; what is not small is no kit."""
    deep = refusal(write_kit(tmp_path / "deep", {"a/b/c/d": "x"}))
    many = write_kit(tmp_path / "many")
    for number in range(5001):
        (many / "agents" / f"n{number}.yaml.sample").touch()

    assert ("folders nested too deeply", True) == (deep.what, deep.where.endswith("/a/b/c"))
    assert refusal(many).what.startswith("holds more than 5000 files or ")


def test_settings_that_say_more_are_read(tmp_path: Path) -> None:
    """What is optional, once."""
    text = SETTINGS.replace("enforced", "advisory").replace("/etc/breakglass/log.key", "ssh-agent") + (
        "two_person_reason: operators have sudo\nexchange: /srv/breakglass\n"
        "runbook: hush\ndeadlines: {step_s: 5, stop_s: 9}\n"
    )
    kit = load_draft(write_kit(tmp_path, {"breakglass.yaml": text}))
    settings = kit.settings

    assert (Path("/srv/breakglass"), "operators have sudo") == (settings.exchange, settings.two_person_reason)
    assert (Deadlines(5, 9, 1800), "hush") == (settings.deadlines, kit.agent("support-bot").runbook)
    assert settings.executor("ops-bastion-1") == settings.executors[0]
    assert settings.executors[0].log_key_file is None
    assert settings.executor("other") is None
