"""Keeps one machine reachable: makes the connection again when it was cut, once for all who wait.

What only reads is repeated without a word. What changes something is not: whether it was done is not known,
and the engine reads before it decides again (`InDoubt`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from breakglass.errors import BreakglassError, Denied, InDoubt, ProviderError, Transient, Unsupported
from breakglass_host.remote.frames import Message
from breakglass_host.remote.link import Cut, Link

PATIENCE_S = 20.0
"""So long one call waits for the connection to come back."""
FIRST_PATIENCE_S = 4.0
"""So long after the beginning a first connection that failed is tried again: others wait for the plan."""
_FIRST_BACK_OFF_S, _LONGEST_BACK_OFF_S = 0.1, 2.0
MOST_FOULS = 2
"""So often a machine may send what no runner of ours would; each time costs the executor work."""
_CHANGES = frozenset(("apply", "revert"))

Open = Callable[[float], Link]
"""Makes a connection within some seconds, and says there what it is for."""


class Session:
    """The connection to one machine, over all cuts."""

    def __init__(
        self, open_link: Open, host: str, *, within_s: float, patience_s: float = PATIENCE_S
    ) -> None:
        """Connect, again if that is cut at once. Raises Denied, Unsupported or Unreachable."""
        self._open = open_link
        self._host = host
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._connecting = False
        self._closed = False
        self._fouls = 0
        self._foul: Link | None = None
        now_s = time.monotonic()
        self._link: Link | None = self._again(now_s + within_s, now_s + min(within_s, FIRST_PATIENCE_S))

    @property
    def host(self) -> str:
        """Return the machine's name."""
        return self._host

    @property
    def link(self) -> Link | None:
        """Return the connection as it is now."""
        return self._link

    def call(self, verb: str, action: str, args: Message) -> object:
        """Make one call, over a new connection where the old one is gone.

        Raises:
            InDoubt: the connection was cut while it was being changed something there.
            Transient: the machine does not come back; nothing was sent.
            ProviderError: what the call raised there.
        """
        until_s = time.monotonic() + self._patience_s
        what = f"{verb} {action}".strip()
        while True:
            if self._fouls > MOST_FOULS:
                raise ProviderError(
                    f"{self._host} is not listened to any more: it sends what no runner of ours would",
                    where=self._host,
                )
            link = self._live(until_s, what, changes=verb in _CHANGES)
            try:
                return link.call(verb, action, args)
            except Cut as cut:
                self._count_foul(link)
                if verb in _CHANGES:
                    raise InDoubt(
                        f"connection to {self._host} was cut during {what} ({cut}): whether it was done is"
                        " not known; it is read again",
                        where=self._host,
                        not_done="nothing else was changed",
                    ) from cut
                if time.monotonic() > until_s:
                    raise Transient(f"connection to {self._host} was cut: {cut}", where=self._host) from cut

    def _count_foul(self, link: Link) -> None:
        """Count a connection once, however many calls waited on it."""
        with self._changed:
            if link.is_foul and link is not self._foul:
                self._foul = link
                self._fouls += 1

    def close(self) -> None:
        """End the connection; no other is made."""
        with self._changed:
            self._closed = True
            link, self._link = self._link, None
            self._changed.notify_all()
        if link is not None:
            link.close()

    def _live(self, until_s: float, what: str, *, changes: bool) -> Link:
        """Return a connection that is not cut, made by whoever comes first."""
        with self._changed:
            while True:
                if self._closed:
                    raise ProviderError(f"the connection to {self._host} was closed", where=self._host)
                if self._link is not None and not self._link.is_cut:
                    return self._link
                if not self._connecting:
                    self._connecting = True
                    break
                if not self._changed.wait(until_s - time.monotonic()):
                    raise Transient(f"{self._host} did not come back; {what} was not sent", where=self._host)
        link: Link | None = None
        try:
            link = self._again(until_s, until_s)
        except BreakglassError as error:
            raise self._failure(error, what, changes=changes) from error
        finally:
            with self._changed:
                self._connecting = False
                late, self._link = (link, None) if self._closed else (None, link)
                self._changed.notify_all()
            if late is not None:
                late.close()
        return link

    def _again(self, until_s: float, begin_until_s: float) -> Link:
        """Try until it answers; what is refused, or fails after `begin_until_s`, is not tried again."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            try:
                return self._open(max(1.0, until_s - time.monotonic()))
            except (Denied, Unsupported):
                raise
            except BreakglassError:
                if self._closed or time.monotonic() + back_off_s >= begin_until_s:
                    raise
            time.sleep(back_off_s)
            back_off_s = min(_LONGEST_BACK_OFF_S, back_off_s * 2)

    def _failure(self, error: BreakglassError, what: str, *, changes: bool) -> ProviderError:
        """Return why there is no connection, as the engine knows it."""
        if isinstance(error, Denied):
            return error
        text = f"{self._host} cannot be reached again: {error.what}; {what} was not sent"
        # What would change something is decided anew from what is read, once it can be read.
        return (InDoubt if changes else Transient)(text, where=self._host)
