"""The TCP connections below the public socket, and how much memory ZeroMQ holds for each of them.

ZeroMQ shows a message when all its frames have come, however many they are, takes in whatever comes before it is asked
for, and keeps answers until a client reads them. Its options limit the size of a frame and the number of messages, but
not these bytes, and the limit on messages must not be used: libzmq 4.3.5 aborts the process when a connection breaks
whose input it has paused, if a ping is among what waits. So the kernel is asked how much came over a connection that
was not shown yet, and how much was sent that has not been taken. Of who sends faster than is read the kernel drops
every packet until that has been read (TCP sends them again), who sends a message without end is cut off, and who does
not read gets no more.

Only Linux has such counters; elsewhere ZeroMQ's own limits have to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import socket as sockets
import struct
import sys
import time
from collections.abc import Callable

import zmq

if sys.platform == "linux":
    import fcntl
    import termios

log = logging.getLogger(__name__)

HAS_COUNTERS = sys.platform == "linux"

_CONNECTIONS = 600
_INCOMPLETE, _INCOMPLETE_TOGETHER = 2 * 2**20, 4 * 2**20
_HELD, _HELD_TOGETHER = 2 * 2**20, 8 * 2**20
_PAUSE_S = 1.0
_WAITING, _WAITING_TOGETHER = 6 * 2**20, 12 * 2**20
_WAITING_ALWAYS = 2**19
_LOOK_S, _LOOK_CLOSELY_S, _LOOK_AT_LEAST_S = 0.02, 0.002, 0.25
_LOOK_CLOSELY = 2**18
_BUSY_S = 0.002
_LOOKING_SHARE = 0.1
_STALLED_S = 0.2
_FORGOTTEN_AFTER_S = 5.0

_EVENT = struct.Struct("=Hi")
_COUNTERS = struct.Struct("=QQ")
_COUNTERS_AT = 120  # bytes_acked and bytes_received in Linux's struct tcp_info
_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # SO_..., which Python has no names for
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)  # a BPF program: keep 0 bytes
_FILTER = struct.pack("HP", 1, ctypes.addressof(_DROP_ALL))
NARROW, _WIDE = 2**14, 2**18
"""Receive buffers: what a connection begins with, and what one gets that brings something large."""

_LARGE_FRAME = 2**12
_HANDSHAKE = 1024
_HEARTBEATS_PER_S = 16.0
_BOOKKEEPING = 128  # bytes that a frame costs ZeroMQ beside its own
_ENCRYPTION = 33
_SHORT_FRAME = 255
_ZERO = bytes(4)


class Line:
    """One TCP connection.

    Attributes:
        user: name of the key, None as long as nothing was heard.
        ended: when it ended, None while it has not. cut: it was ended here.
        received: bytes that have arrived. shown: those that were part of what ZeroMQ has shown. frames: how many
            frames that was.
        handed: bytes that ZeroMQ was given to send since the kernel last had none left. taken: those of them that the
            other side has acknowledged.
    """

    def __init__(self, fd: int | None = None) -> None:
        """A new connection; without `fd` one that has ended already."""
        self.fd = fd
        self.user: str | None = None
        self.ended = None if fd is not None else time.monotonic()
        self.cut = False
        self.received = self.frames = self.handed = self.taken = 0
        self.shown: float = _HANDSHAKE
        self._taken_before = 0
        self._paused: float | None = None
        self._wide = False
        self._looked = time.monotonic()
        # ZeroMQ owns the descriptor and closes it; `end` lets go of it.
        self._tcp = None if fd is None else sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM, fileno=fd)

    @property
    def unshown(self) -> int:
        """Bytes of messages that are not complete, or that nobody has asked for yet."""
        return max(0, self.received - int(self.shown))

    @property
    def held(self) -> float:
        """About how much memory that takes, if further frames are like those before."""
        return self.unshown * (1 + _BOOKKEEPING * (self.frames + 1) / self.shown)

    @property
    def waiting(self) -> int:
        """Bytes on their way out."""
        return self.handed - self.taken

    @property
    def forgotten(self) -> bool:
        """Whether it ended so long ago that nothing that it has sent is still to come."""
        return self.ended is not None and time.monotonic() - self.ended > _FORGOTTEN_AFTER_S

    def look(self, now: float) -> None:
        """Read the kernel's counters."""
        heartbeats = (now - self._looked) * _HEARTBEATS_PER_S  # which come over the line and are never shown
        self.shown = max(self.shown, min(self.shown + heartbeats, self.received))
        self._looked = now
        if self._tcp is None or not HAS_COUNTERS:
            return
        info = self._tcp.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _COUNTERS_AT + _COUNTERS.size)
        acknowledged, self.received = _COUNTERS.unpack_from(info, _COUNTERS_AT)
        if self.handed and fcntl.ioctl(self._tcp, termios.TIOCOUTQ, _ZERO) == _ZERO:
            self.handed = 0
        if not self.handed:
            self._taken_before = acknowledged
        self.taken = acknowledged - self._taken_before

    def regulate(self, now: float, most: float, all_shown: bool) -> None:
        """Let the other side send as much as is read, while no more than `most` bytes are held for it.

        Who sends something large gets a wider window.
        """
        if self.held > most:
            self.pause()
        elif self._paused is not None and now - self._paused > _PAUSE_S and self.held < most / 2:
            self._set(_DETACH_FILTER, 0)
            self._paused = None
        elif all_shown and not self._wide and self.unshown > _LARGE_FRAME:
            self._wide = True
            self._set(sockets.SO_RCVBUF, _WIDE)

    def pause(self) -> None:
        """Take in nothing more for a while; what the kernel has already still comes."""
        if self._paused is None:
            # A small window would not do: on loopback 1 kB a round trip is 5 MB/s.
            self._set(_ATTACH_FILTER, _FILTER)
        self._paused = time.monotonic()

    def _set(self, option: int, value: int | bytes) -> None:
        if self._tcp is not None and HAS_COUNTERS:
            with contextlib.suppress(OSError):  # it has ended
                self._tcp.setsockopt(sockets.SOL_SOCKET, option, value)

    def end(self, cut: bool) -> None:
        """It has ended, or, when `cut`, ends now."""
        self.cut, self.ended = cut, time.monotonic()
        if self._tcp is not None:
            with contextlib.suppress(OSError):
                if cut:
                    self._tcp.shutdown(sockets.SHUT_RDWR)
            self._tcp.detach()
            self._tcp = None


class Lines:
    """All connections to a socket, from before their handshake to their end."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        """Begin to listen; to be called before the socket is bound."""
        self._socket = socket
        self._monitor = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._by_fd: dict[int, Line] = {}
        self._looked = self._look_again = time.monotonic()
        self._worked = 0.0
        self._told = 0.0

    def close(self) -> None:
        """Listen no more."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        for line in self._by_fd.values():
            line.end(cut=False)
        self._by_fd.clear()

    def find(self, frame: zmq.Frame) -> Line | None:
        """The connection that a message came over; None when it has ended."""
        fd = int(frame.get(zmq.SRCFD))
        if fd not in self._by_fd:
            self._notice()
        return self._by_fd.get(fd)

    def has_room(self, line: Line, size: int) -> bool:
        """Whether so many bytes may be sent now."""
        if self._fits(line, size):
            return True
        with contextlib.suppress(OSError):
            line.look(time.monotonic())  # it may have taken much since the last time
        return self._fits(line, size)

    def _fits(self, line: Line, size: int) -> bool:
        if line.ended is not None or line.waiting + size <= _WAITING_ALWAYS or not HAS_COUNTERS:
            return True  # what is for nobody, ZeroMQ drops
        waiting = [other.waiting for other in self._by_fd.values() if other.waiting > 0]
        if line.waiting <= 0:
            return size <= _WAITING or sum(waiting) < _WAITING_TOGETHER
        return line.waiting + size <= min(_WAITING, _WAITING_TOGETHER // len(waiting))

    def look(self, all_shown: bool) -> float:
        """See what has become of the connections; pause or end those that take too much.

        Args:
            all_shown: everything complete was asked for just now; what is unshown therefore belongs to messages that
                are not complete.

        Returns:
            Seconds until it should be done again.
        """
        self._notice()
        now, worked, begun = time.monotonic(), time.process_time(), time.thread_time()
        # What comes in takes time to decrypt: when this process has done nothing, there is nothing to see.
        quiet = worked - self._worked < _BUSY_S and now - self._looked < _LOOK_AT_LEAST_S
        if quiet or now < self._look_again:
            return _LOOK_S
        # Then much may wait that nobody had the time to ask for.
        stalled = now - self._looked > _LOOK_AT_LEAST_S + _STALLED_S
        self._looked, self._worked = now, worked
        self._look_at_all(now, all_shown)
        if all_shown and not stalled:
            self._cut_down(lambda line: line.unshown, _INCOMPLETE, _INCOMPLETE_TOGETHER)
        self._end_surplus()
        self._look_again = now + (time.thread_time() - begun) / _LOOKING_SHARE
        closely = any(line.unshown > _LOOK_CLOSELY for line in self._by_fd.values())
        return _LOOK_CLOSELY_S if closely else _LOOK_S

    def _look_at_all(self, now: float, all_shown: bool) -> None:
        for line in self._by_fd.values():
            with contextlib.suppress(OSError):
                line.look(now)
        many = sum(line.held > _HELD_TOGETHER / _CONNECTIONS for line in self._by_fd.values())
        most = min(_HELD, _HELD_TOGETHER / max(1, many))
        for line in self._by_fd.values():
            line.regulate(now, most, all_shown)

    def _notice(self) -> None:
        """Read which connections began and ended."""
        while True:
            try:
                event, fd = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                return
            before = self._by_fd.pop(fd, None)
            if before is not None:
                before.end(cut=False)
            if event == zmq.EVENT_ACCEPTED:
                with contextlib.suppress(OSError):  # it has ended already
                    self._by_fd[fd] = Line(fd)

    def _cut_down(self, size: Callable[[Line], float], each: float, together: float) -> None:
        """End those with the largest sizes until none is above `each` and their sum not above `together`."""
        total = sum(map(size, self._by_fd.values()))
        if total <= min(each, together):
            return
        for line in sorted(self._by_fd.values(), key=size, reverse=True):
            if size(line) <= each and total <= together:
                return
            total -= size(line)
            self.cut(line, "it sends more than can be taken")

    def _end_surplus(self) -> None:
        surplus = len(self._by_fd) - _CONNECTIONS
        if surplus > 0:
            strangers = [line for line in self._by_fd.values() if line.user is None]
            known = [line for line in reversed(self._by_fd.values()) if line.user is not None]
            for line in (strangers + known)[:surplus]:
                self.cut(line, f"there are more than {_CONNECTIONS}")

    def cut(self, line: Line, why: str) -> None:
        """End a connection."""
        if time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            log.warning("ended a connection of %s: %s", line.user or "somebody unknown", why)
        if line.fd is not None:
            self._by_fd.pop(line.fd, None)
        line.end(cut=True)


def wire_size(bytes_of_frame: int) -> int:
    """Bytes that a frame takes on the line."""
    body = bytes_of_frame + _ENCRYPTION
    return body + (2 if body <= _SHORT_FRAME else 9)
