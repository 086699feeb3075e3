"""Who is connected: one session per TCP connection, with its allowance of messages and its subscription."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from splinescape.service.lines import Line
from splinescape.service.settings import Limits

_FRAMES_A_MESSAGE = 18
_TOKENS_AT_FIRST = 200
_SHARE = 0.5
_LATELY_S = 1.0


@dataclass(eq=False)
class Session:
    """A connection.

    Attributes:
        identity: how the socket names it. user: name of its key. line: the connection below it.
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
    line: Line = field(default_factory=Line)
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


@dataclass(eq=False)
class _Share:
    """The share of the service's time that a key has taken lately, from 0 to 1."""

    taken: float = 0.0
    at: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        self.taken = self.taken * math.exp((self.at - now) / _LATELY_S) + seconds / _LATELY_S
        self.at = now


class Sessions:
    """All connections that have said something and have not ended."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_identity: dict[bytes, Session] = {}
        self._shares: dict[str, _Share] = {}

    def known(self, identity: bytes) -> Session | None:
        """The session of a connection that was heard of before."""
        return self._by_identity.get(identity)

    def get(self, identity: bytes, user: str, line: Line | None = None) -> Session:
        """The session of a connection; a new one when it has said nothing before, or its key is another one now."""
        line = line or Line()
        session = self._by_identity.get(identity)
        if session is None or session.user != user or session.line is not line:
            # Few at first, so that it does not pay to connect again and again.
            tokens = min(self._limits.messages_burst, _TOKENS_AT_FIRST)
            session = Session(identity, user, tokens, time.monotonic(), line)
            self._by_identity[identity] = session
            line.user = user
        return session

    def admit(self, session: Session, frames: int) -> bool:
        """Take a message of so many frames from the allowance; False when too much has come too fast."""
        now = time.monotonic()
        limits = self._limits
        refill = (now - session.heard) * limits.messages_per_s
        session.tokens = min(limits.messages_burst, session.tokens + refill)
        session.heard = now
        if session.tokens < 1 or self._takes_too_much(session.user, now):
            session.line.pause()
            return False
        session.tokens -= 1 + frames // _FRAMES_A_MESSAGE
        return True

    def spent(self, session: Session, seconds: float) -> None:
        """Answering took so long."""
        self._shares.setdefault(session.user, _Share()).add(seconds, time.monotonic())

    def _takes_too_much(self, user: str, now: float) -> bool:
        """Whether a key leaves too little for others who have been there lately."""
        own = self._shares.get(user)
        if own is None or own.taken <= _SHARE:
            return False
        own.add(0.0, now)
        others = any(now - share.at < _LATELY_S for share in self._shares.values() if share is not own)
        return others and own.taken > _SHARE

    def drop(self, identity: bytes) -> None:
        """Forget a connection that cannot be reached."""
        self._by_identity.pop(identity, None)

    def listeners(self, job: str | None) -> list[Session]:
        """Everybody who wants events of `job`."""
        return [session for session in self._by_identity.values() if session.wants(job)]

    def forget_ended(self) -> None:
        """Drop those whose connection has ended a while ago; before, something that they have sent may still come."""
        for identity in [i for i, session in self._by_identity.items() if session.line.forgotten]:
            del self._by_identity[identity]
