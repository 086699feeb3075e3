"""What is asked of the Hugging Face hub, through its own library; the only module that imports it.

The library's `hf_hub_download` throws a half-received file away when it is interrupted, which hurts with files of
23 GB. So the library finds the files, speaks HTTP and holds the token, and `download.py` keeps the bytes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from splinescape import __version__
from splinescape.models.catalogue import ModelEntry
from splinescape.models.errors import ModelError

# Otherwise the library tells the hub which programs run here, and asks it for a list of them to look for.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

try:
    import httpx2
    from huggingface_hub import HfApi, constants, get_session, get_token, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status
except ImportError:
    raise ModelError(
        "unavailable", "downloading needs huggingface_hub: pip install 'splinescape[models]'"
    ) from None

_TIMEOUT_S = 20.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_FORBIDDEN_IN_NAMES = set('\\:<>"|?*')


class TransientError(Exception):
    """The connection failed or the hub is busy; trying again may help."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: its path, size in bytes, and the hash that the hub states for it.

    Large files have a SHA-256. Small ones lie in git itself, which knows the SHA-1 of a header and the contents.
    """

    path: str
    size: int
    sha256: str | None
    git_sha1: str

    @property
    def key(self) -> str:
        """Names the contents."""
        return self.sha256 or self.git_sha1


@dataclass(frozen=True)
class Listing:
    """The files of one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


def list_files(entry: ModelEntry) -> Listing:
    """Ask for all files of a model's repository.

    Raises:
        ModelError: the hub refuses, does not know the repository, or answers nonsense.
        TransientError: it cannot be reached or is busy.
    """
    with _explained(entry):
        info = HfApi(library_name="splinescape", library_version=__version__).model_info(
            entry.repo, revision=entry.revision, files_metadata=True, timeout=_TIMEOUT_S
        )
        files = [
            RemoteFile(
                path=_safe(entry, s.rfilename),
                size=_amount(s.size),
                sha256=_hex(s.lfs.sha256, 64) if s.lfs else None,
                git_sha1=_hex(s.blob_id, 40),
            )
            for s in info.siblings or ()
        ]
        return Listing(_hex(info.sha, 40), tuple(files))


def _hex(text: str | None, length: int) -> str:
    if text is None or len(text) != length or set(text) - set("0123456789abcdef"):
        raise ValueError(f"not a hash: {text!r}")
    return text


def _amount(size: int | None) -> int:
    if size is None or size < 0:
        raise ValueError(f"not a size: {size!r}")
    return size


def _safe(entry: ModelEntry, name: str) -> str:
    """A file's name, if it stays inside the model's folder on every system."""
    parts = name.split("/")
    if (
        any(part in ("", ".", "..") or _FORBIDDEN_IN_NAMES & set(part) for part in parts)
        or not name.isprintable()
    ):
        raise ModelError(
            "bad_input", f"{entry.repo} has a file with a dangerous name ({name!r}): nothing is fetched"
        )
    return str(PurePosixPath(name))


@contextlib.contextmanager
def open_file(
    entry: ModelEntry, commit: str, file: RemoteFile, start: int
) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Ask for a file from byte `start` on; yields where the answer really starts (`start` or 0) and its pieces.

    Raises:
        ModelError, TransientError: as `list_files`, also while the pieces are read.
    """
    headers = build_hf_headers(library_name="splinescape", library_version=__version__)
    headers["Accept-Encoding"] = "identity"  # byte positions are those of the file
    if start:
        headers["Range"] = f"bytes={start}-"
    url = hf_hub_url(entry.repo, file.path, revision=commit)
    with (
        _explained(entry),
        get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT_S) as response,
    ):
        hf_raise_for_status(response)
        yield (start if response.status_code == 206 else 0), response.iter_bytes()


@contextlib.contextmanager
def _explained(entry: ModelEntry) -> Iterator[None]:
    """Turn what the hub's library raises into one line that says what to do."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise ModelError(
            "unavailable",
            f"{entry.id} is not complete on this disk and HF_HUB_OFFLINE forbids fetching it: unset it, or name a "
            "folder that has the model",
        ) from None
    except HfHubHTTPError as error:
        raise _explain_status(entry, error) from None
    except httpx2.TransportError as error:
        raise TransientError(f"cannot reach {_host()} ({_line(error)}): check the network") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ModelError("unavailable", f"the answer of {_host()} cannot be used ({_line(error)})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            "unavailable",
            f"{_host()} did not answer as the Hugging Face hub does ({_line(error)}): does this network need a login?",
        ) from None


def _explain_status(entry: ModelEntry, error: HfHubHTTPError) -> Exception:
    status = error.response.status_code
    page = f"https://huggingface.co/{entry.repo}"
    if status in _TRY_AGAIN:
        return TransientError(f"{_host()} is busy (HTTP {status}): try again later")
    if status in (401, 403):
        if get_token() is None:
            return ModelError(
                "unavailable",
                f"{_host()} hands out {entry.repo} only to accounts that have asked for it: log in, ask on {page}, "
                "make a token on https://huggingface.co/settings/tokens, and store it with 'hf auth login' or in "
                "HF_TOKEN",
            )
        return ModelError(
            "unavailable",
            f"{_host()} refuses {entry.repo} to your token: ask for access on {page} with the token's account, and "
            "let the token read gated repositories (https://huggingface.co/settings/tokens)",
        )
    if status in (404, 410):
        return ModelError(
            "not_found", f"{_host()} no longer has {entry.repo} as this version of Splinescape knows it"
        )
    return ModelError("unavailable", f"{_host()} refuses to send {entry.repo} (HTTP {status})")


def _host() -> str:
    return constants.ENDPOINT.split("://")[-1]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
