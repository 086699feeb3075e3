"""What text encoders made of prompts, kept on disk, so that they need not be loaded for a prompt twice.

T5 is 9 GB and Qwen3 8 GB; what they make of a prompt is a few MB and never changes.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from splinescape.inpaint.diffusion.folder import PipelineFolder
from splinescape.io.atomic import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

_KEPT = 64
"""Prompts; 4 to 8 MB each."""
_SAMPLE = 2**16


class Embeddings:
    """The kept embeddings of one model's prompts.

    They belong to the very text encoders that made them: other weights, another tokenizer, other settings are another
    key. When the encoders' files are gone, the key that was noted for their folder is used.

    Args:
        folder: of the pipeline.
        encoders: names of the folders of its text encoders. tokenizers: likewise.
        variant: anything else that they depend on.
    """

    def __init__(
        self, folder: PipelineFolder, encoders: tuple[str, ...], tokenizers: tuple[str, ...], variant: str
    ) -> None:
        self._root = Path(platformdirs.user_cache_dir("splinescape", appauthor=False)) / "embeddings"
        self._note = self._root / f"{_digest(str(folder.path.resolve()).encode(), variant.encode())}.key"
        self._key = self._identity(folder, encoders, tokenizers, variant)

    def get(self, prompt: str) -> dict[str, Tensor] | None:
        """The tensors that were put for a prompt, on the CPU; None when there are none."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self._path(prompt)
        if path is None:
            return None
        try:
            tensors = load(path.read_bytes())
            path.touch()
        except (OSError, SafetensorError):  # made anew then
            return None
        return tensors

    def put(self, prompt: str, tensors: dict[str, Tensor]) -> None:
        """Keep the tensors of a prompt, and forget the one that was used longest ago if there are too many."""
        from safetensors.torch import save

        path = self._path(prompt)
        if path is None:
            return
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as file:
                file.write(save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))
            with atomic_file(self._note) as file:
                file.write((self._key or "").encode())
            kept = sorted(self._root.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
            for old in kept[:-_KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the prompt's embeddings cannot be kept in %s: %s", self._root, error)

    def _path(self, prompt: str) -> Path | None:
        return (
            None
            if self._key is None
            else self._root / f"{_digest(self._key.encode(), prompt.encode())}.safetensors"
        )

    def _identity(
        self, folder: PipelineFolder, encoders: tuple[str, ...], tokenizers: tuple[str, ...], variant: str
    ) -> str | None:
        if not all(folder.has_weights(part) for part in encoders):
            return (self._note.read_text() or None) if self._note.is_file() else None
        parts = (folder.path / part for part in (*encoders, *tokenizers))
        files = sorted(file for part in parts for file in part.glob("*") if file.is_file())
        return _digest(variant.encode(), *(_fingerprint(file, folder.path) for file in files))


def _fingerprint(file: Path, root: Path) -> bytes:
    """Name, size and content; of a large file the beginning, middle and end, as reading it takes a minute."""
    size = file.stat().st_size
    digest = hashlib.sha256(f"{file.relative_to(root).as_posix()}:{size}".encode())
    with file.open("rb") as stream:
        if file.suffix != ".safetensors":
            digest.update(stream.read())
        else:
            for start in (0, size // 2, max(0, size - _SAMPLE)):
                stream.seek(start)
                digest.update(stream.read(_SAMPLE))
    return digest.digest()


def _digest(*pieces: bytes) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(hashlib.sha256(piece).digest())
    return digest.hexdigest()[:40]
