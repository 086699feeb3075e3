"""What went wrong with pip, in one sentence."""

from __future__ import annotations

import re

_CAUSES = (
    (
        r"CUDA_HOME|nvcc",
        "A part for NVIDIA GPUs could not be built: set Build to CPU, or install the CUDA toolkit",
    ),
    (
        r"No space left on device|Errno 28|WinError 112",
        "The disk is full: make room and click Install Backend again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "The connection is not trusted (its certificate cannot be checked), perhaps for a proxy or virus scanner in "
        "between: ask your administrator",
    ),
    (
        r"ProxyError|407 Proxy",
        "The proxy of your network refuses: set HTTPS_PROXY for Blender, or ask your administrator",
    ),
    (
        r"Name or service not known|Temporary failure in name resolution|getaddrinfo failed|nodename nor servname"
        r"|NewConnectionError|Network is unreachable|Connection refused|ConnectTimeout|Max retries exceeded",
        "The package index cannot be reached: check the network and click Install Backend again",
    ),
    (
        r"ReadTimeoutError|Connection broken|IncompleteRead|ConnectionResetError|ProtocolError",
        "The connection broke off: click Install Backend again, what has arrived is kept",
    ),
    (
        r"WinError 206|OSError.*too long|enable.*[Ll]ong [Pp]ath",
        "The folder's name is too long for Windows: choose a shorter folder for the environment",
    ),
    (
        r"Permission denied|Errno 13|WinError 5\b",
        "The folder of the environment cannot be written: choose another one",
    ),
    (
        r"DO NOT MATCH THE HASHES|BadZipFile|is not a supported wheel",
        "A downloaded file is damaged: click Install Backend again",
    ),
)
_MISSING = re.compile(r"(?:No matching distribution found for|satisfies the requirement) ([^\s(]+)")
_ERROR = re.compile(r"^\s*(?:ERROR|error): (.+)$", re.MULTILINE)
_LONGEST = 250


def sentence(log: str) -> str:
    """The most likely cause of a failed installation.

    Args:
        log: everything that pip has printed.
    """
    missing = _MISSING.search(log)
    for pattern, text in _CAUSES:
        # A package that is nowhere to be found is what an index that could not be asked looks like, too.
        if re.search(pattern, log):
            return text
    if missing is not None:
        package = missing[1].rstrip(".,;:")
        return f"There is no {package} for this Python on this machine: choose another Python, or another machine"
    errors = _ERROR.findall(log)
    if errors:
        return f"The installation failed: {errors[-1].strip()[:_LONGEST]}"
    return "The installation failed: open the log"
