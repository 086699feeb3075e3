"""Who is connected: one session per TCP connection, with its allowance of messages and its subscription."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from splinescape.service.settings import Limits

_FORGET_AFTER_S = 60.0


@dataclass(eq=False)
class Session:
    """A connection.

    Attributes:
        identity: how the socket names it. user: name of its key.
        client: the id that a client gives to all its connections with "hello"; "" before.
        jobs: jobs whose events it wants, None for all of them; only when `subscribed`.
        pushed: the newest event that was sent to it or that it would have been sent.
        behind: an event could not be sent to it; nothing is pushed until it subscribes anew.
        tokens: messages that it may send right now.
    """

    identity: bytes
    user: str
    tokens: float
    heard: float
    client: str = ""
    subscribed: bool = False
    jobs: frozenset[str] | None = None
    thumbnails: bool = True
    pushed: int = 0
    behind: bool = False
    told_rate: float = field(default=-1e9)

    def wants(self, job: str | None) -> bool:
        """Whether events of `job` are for it; those that belong to no job are for everybody who listens."""
        return self.subscribed and (job is None or self.jobs is None or job in self.jobs)


class Sessions:
    """All connections that were heard of lately."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_identity: dict[bytes, Session] = {}

    def admit(self, identity: bytes) -> bool:
        """Take one from the connection's allowance; False when it has sent too much too fast.

        This is asked before anything of the message is looked at, so that a flood costs next to nothing.
        """
        session = self._by_identity.get(identity)
        if session is None:
            return True
        now = time.monotonic()
        limits = self._limits
        refill = (now - session.heard) * limits.messages_per_s
        session.tokens = min(limits.messages_burst, session.tokens + refill)
        session.heard = now
        if session.tokens < 1:
            return False
        session.tokens -= 1
        return True

    def get(self, identity: bytes, user: str) -> Session:
        """The session of a connection; made when it is new or when its key is another one than before."""
        session = self._by_identity.get(identity)
        if session is None or session.user != user:
            burst = self._limits.messages_burst - 1
            session = Session(identity, user, burst, time.monotonic())
            self._by_identity[identity] = session
        return session

    def known(self, identity: bytes) -> Session | None:
        """The session of a connection that was heard of before."""
        return self._by_identity.get(identity)

    def drop(self, identity: bytes) -> None:
        """Forget a connection that cannot be reached."""
        self._by_identity.pop(identity, None)

    def listeners(self, job: str | None) -> list[Session]:
        """Everybody who wants events of `job`."""
        return [session for session in self._by_identity.values() if session.wants(job)]

    def forget_silent(self) -> None:
        """Drop connections that sent nothing for a minute; clients ping every few seconds."""
        now = time.monotonic()
        for identity, session in list(self._by_identity.items()):
            if now - session.heard > _FORGET_AFTER_S:
                del self._by_identity[identity]
