"""The records of a journal: one canonical JSON line each, chained by digest.

| type | body | written |
|---|---|---|
| `stop.issued` | agent, verb, executor, boot | first, before anything is planned |
| `run.opened` | incident, agent, verb, plan_sha256, parent, executor, tool, drill, boot | planned |
| `signature.accepted` | person, key (SHA256:...), sha256 of the signature file | when it verified |
| `signature.refused` | file, reason | when it did not |
| `plan.claimed` | plan_sha256, nonce, signers [person, key] | after quorum, before any change |
| `mirror.claimed` | mirror, ok, detail | the claim was made there, or could not be |
| `step.started` | step | the step's dependencies are settled |
| `step.intent` | step, round, token, objects {id: prior state}, complete | before each change |
| `step.accepted` | step, round, ok, detail | after each call |
| `step.read_back` | step, round, verdict, reason, sha256 of the state | when a round has closed |
| `step.closed` | step, verdict, grade, reason, settled (read contained twice) | last of a step |
| `step.reverted` | step, objects {id: outcome}, reason | restore only |
| `evidence.item` | path, sha256, size, source | after the file is durable |
| `found.not_signed` | provider, scope, kind, id, reason | after the steps |
| `run.interrupted` | reason | Ctrl-C or deadline |
| `run.resumed` | tool, boot, in_doubt [step] | first of a resume |
| `journal.recovered` | bytes, file | a torn tail was moved aside |
| `mirror.copied` | mirror, records, detail | how much of this journal lies there; before the end |
| `run.sealed` | verdict, open, timings | last; then the checkpoint is signed |

Every record also has `v`, `seq`, `t` (UTC, ms), `m` (CLOCK_MONOTONIC, microseconds), `type` and `prev`
(sha256 of the previous line without its newline; 64 zeros for the first).
"""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.canon import JsonObject
from breakglass.clock import Instant

ZERO_DIGEST = "0" * 64

RECORD_TYPES = frozenset(
    {
        "stop.issued",
        "run.opened",
        "signature.accepted",
        "signature.refused",
        "plan.claimed",
        "mirror.claimed",
        "mirror.copied",
        "step.started",
        "step.intent",
        "step.accepted",
        "step.read_back",
        "step.closed",
        "step.reverted",
        "evidence.item",
        "found.not_signed",
        "run.interrupted",
        "run.resumed",
        "journal.recovered",
        "run.sealed",
    }
)
"""The types of the table above: a journal that holds another does not verify."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal."""

    seq: int
    at: Instant
    monotonic_us: int
    type: str
    body: JsonObject
    prev: str
    digest: str
    """sha256 of this line without its newline."""
