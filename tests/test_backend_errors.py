"""What pip prints becomes one sentence that says what to do."""

from __future__ import annotations

import pytest

from addon.backend.pip_errors import sentence

OFFLINE = """
WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError(
'<pip._vendor.urllib3.connection.HTTPSConnection object>: Failed to establish a new connection:
[Errno -3] Temporary failure in name resolution')': /simple/torch/
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)
ERROR: No matching distribution found for torch==2.13.0
"""


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (OFFLINE, "index cannot be reached"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "no torch==2.13.0 for this Python"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...'))", "not trusted"),
        ("OSError: [WinError 206] The filename or extension is too long", "choose a shorter folder"),
        ("ERROR: [Errno 13] Permission denied: '/opt/x'", "cannot be written"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "damaged"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "broke off"),
        ("ProxyError('Cannot connect to proxy.')", "proxy"),
        ("ERROR: something quite new\n", "something quite new"),
        ("", "open the log"),
    ],
)
def test_a_failed_installation_says_its_cause_in_one_sentence(printed: str, expected: str) -> None:
    text = sentence(printed)
    assert expected in text
    assert "\n" not in text and len(text) < 300
