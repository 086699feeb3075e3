"""Deleting large folders without anybody waiting for it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path
from queue import SimpleQueue


class Trash:
    """A folder for what is to be deleted; a thread of its own empties it, and the next start what it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._queue: SimpleQueue[Path | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="trash", daemon=True)
        self._thread.start()

    def empty(self) -> None:
        """Delete everything that lies here."""
        for entry in list(self.folder.iterdir()):
            self._queue.put(entry)

    def delete(self, path: Path) -> None:
        """Delete something that lies here."""
        self._queue.put(path)

    def close(self) -> None:
        """Finish; what takes longer is left for the next start."""
        self._queue.put(None)
        self._thread.join(timeout=5.0)

    def _work(self) -> None:
        while (path := self._queue.get()) is not None:
            delete_tree(path)


def delete_tree(path: Path) -> None:
    """Delete a file or folder as far as possible: what another process holds open may stay."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
