"""Pictures on their way in: files named by what is in them, received piece by piece.

A file that is not complete belongs to its owner alone, so nobody can spoil another's; a complete one was verified
and serves everybody who knows its sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splinescape.io.atomic import flush_to_disk
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import Bytes
from splinescape.service.store.clock import StoreClock
from splinescape.service.store.disk import disk_errors

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_COMPLETE = re.compile(r"([0-9a-f]{64})-([0-9a-f]{16})\Z")
_PART = re.compile(r"([0-9a-f]{64})-([0-9a-f]{16})-([0-9]{1,12})\.part\Z")
_LEAST_CHARGE = 2**16
"""Bytes that even the smallest file counts for, so that a limit in bytes also limits how many files there are."""


@dataclass(frozen=True)
class UploadLimits:
    """Bytes of one upload at most, and of all uploads of one owner."""

    max_bytes: int = 2**28
    owner_bytes: int = 2**30


@dataclass(eq=False)
class _Upload:
    path: Path
    sha256: str
    owner: str
    size: int
    have: int
    used: float
    hash: Any = None

    @property
    def complete(self) -> bool:
        return self.path.suffix != ".part"

    @property
    def charge(self) -> int:
        return max(self.size, _LEAST_CHARGE)


class Uploads:
    """The folder of uploads."""

    def __init__(self, folder: Path, clock: StoreClock, limits: UploadLimits) -> None:
        self._folder = folder
        self._clock = clock
        self._limits = limits
        self._all: dict[tuple[str, str], _Upload] = {}
        with disk_errors(folder):
            for path in folder.iterdir():
                self._find(path)

    def _find(self, path: Path) -> None:
        """Take up a file of an earlier run."""
        have = path.stat().st_size
        if match := _COMPLETE.match(path.name):
            size = have
        elif match := _PART.match(path.name):
            size = int(match[3])
        else:
            return
        upload = _Upload(path, match[1], match[2], size, have, self._clock.now())
        if have > size or (upload.sha256, upload.owner) in self._all:
            _unlink(path)
        else:
            self._all[upload.sha256, upload.owner] = upload

    def append(self, owner: str, sha256: str, size: int, offset: int, data: Bytes) -> int:
        """Take a piece of a file and say how much of it is here; complete and verified when that is `size`.

        When `offset` is not where the file ends, or `data` is empty, nothing is written.

        Args:
            owner: name of the client's key. sha256: of the whole file, 64 hexadecimal digits.
            size: bytes of the whole file. offset: where `data` belongs.

        Raises:
            ServiceError: "bad_input" when the file is not what its sha256 says (it is dropped then) or the numbers
                make no sense; "too_large" over a limit; "disk_full".
        """
        _check(sha256, size, offset)
        if size > self._limits.max_bytes:
            raise ServiceError(
                "too_large", f"the file has {size} bytes, at most {self._limits.max_bytes} are allowed"
            )
        complete = self._complete(sha256)
        if complete is not None:
            if complete.size != size:
                raise ServiceError(
                    "bad_input", f"the file of this sha256 has {complete.size} bytes, not {size}"
                )
            complete.used = self._clock.now()
            return size
        owner = hashlib.sha256(owner.encode()).hexdigest()[:16]
        with disk_errors(self._folder):
            upload = self._begun(owner, sha256, size, wanted=offset == 0 and len(data) > 0)
            if upload is None:
                return 0
            upload.used = self._clock.now()
            if offset == upload.have and len(data):
                self._write(upload, data)
            if upload.have == upload.size:
                self._finish(upload)
        return upload.have

    def path(self, sha256: str) -> Path:
        """A complete file; raises ServiceError("not_found") when it is not here or not complete."""
        upload = self._complete(sha256)
        if upload is None:
            raise ServiceError("not_found", f"there is no complete upload {sha256[:64]}: send the file again")
        upload.used = self._clock.now()
        return upload.path

    def expire(self, max_age_s: float, now: float) -> None:
        """Delete what nobody used for so long; `now` is the wall time in unix seconds."""
        oldest = self._clock.now(now) - max_age_s
        for upload in list(self._all.values()):
            if upload.used <= oldest:
                self._drop(upload)

    def _complete(self, sha256: str) -> _Upload | None:
        for upload in list(self._all.values()):
            if upload.sha256 == sha256 and upload.complete:
                if upload.path.exists():
                    return upload
                self._drop(upload)  # somebody tidied up behind our back
        return None

    def _begun(self, owner: str, sha256: str, size: int, wanted: bool) -> _Upload | None:
        upload = self._all.get((sha256, owner))
        if upload is not None and upload.size != size:
            self._drop(upload)
            upload = None
        if upload is None and wanted:
            self._make_room(owner, max(size, _LEAST_CHARGE))
            path = self._folder / f"{sha256}-{owner}-{size}.part"
            path.touch(mode=0o600)
            upload = _Upload(path, sha256, owner, size, 0, self._clock.now(), hashlib.sha256())
            self._all[sha256, owner] = upload
        if upload is not None and upload.hash is None:
            upload.hash = _hash_of(upload.path)
        return upload

    def _make_room(self, owner: str, charge: int) -> None:
        """Forget what jobs have got already, if need be: they keep their own link to it."""
        mine = sorted(
            (each for each in self._all.values() if each.owner == owner), key=lambda each: each.used
        )
        total = charge + sum(each.charge for each in mine)
        for upload in mine:
            if total <= self._limits.owner_bytes:
                return
            if upload.complete and upload.path.stat().st_nlink > 1:
                self._drop(upload)
                total -= upload.charge
        if total > self._limits.owner_bytes:
            raise ServiceError(
                "too_large",
                f"uploads of this key may have {self._limits.owner_bytes} bytes together: finish or submit the "
                "others first, or wait until they expire",
            )

    def _write(self, upload: _Upload, data: Bytes) -> None:
        if upload.have + len(data) > upload.size:
            raise ServiceError("bad_input", f"more bytes than the {upload.size} that were announced")
        with upload.path.open("r+b", buffering=0) as file:
            try:
                file.seek(upload.have)
                view = memoryview(data)
                while view.nbytes:
                    view = view[file.write(view) :]
                # Piece by piece, so that no call has to wait for all of a large file.
                os.fsync(file.fileno())
            except OSError:
                file.truncate(upload.have)
                raise
        upload.have += len(data)
        upload.hash.update(data)

    def _finish(self, upload: _Upload) -> None:
        if upload.hash.hexdigest() != upload.sha256:
            self._drop(upload)
            raise ServiceError("bad_input", "the file does not have the announced sha256: send it again")
        path = self._folder / f"{upload.sha256}-{upload.owner}"
        upload.path.replace(path)
        upload.path = path
        if os.name == "posix":
            flush_to_disk(self._folder)

    def _drop(self, upload: _Upload) -> None:
        _unlink(upload.path)
        self._all.pop((upload.sha256, upload.owner), None)


def _check(sha256: str, size: int, offset: int) -> None:
    if not _SHA256.match(sha256):
        raise ServiceError("bad_input", "sha256 must be 64 hexadecimal digits")
    if size < 1 or not 0 <= offset <= size:
        raise ServiceError("bad_input", "size must be above 0 and offset between 0 and size")


def _hash_of(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
