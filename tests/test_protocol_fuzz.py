"""Whatever arrives, the service's door answers with a request or with an error of the protocol, and quickly.

Every example is a handful of messages, so that together they are tens of thousands.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_service_requests import GOOD, PATH, changed

from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_HEADER, Buffer, Message, decode, encode
from splinescape.service.requests import REQUESTS, Request, parse_request
from splinescape.service.settings import Limits

LIMITS = Limits()
PER_EXAMPLE = 20
MOST_S = 0.5
"""CPU time for one message, with whatever Python tidies up meanwhile; the usual one takes 50 microseconds."""

GOOD_FRAMES = [
    [bytes(frame) for frame in encode(message)]
    for message in [
        *GOOD.values(),
        Message("submit", GOOD["submit"].content, buffers=(Buffer.of_bytes("path", PATH),)),
        changed(
            "submit", settings={"n_frames": 4, "prompt": "x"}, engines={"depth": "auto"}, formats=["spz"]
        ),
    ]
]


@pytest.fixture(autouse=True, scope="module")
def what_other_tests_left_is_not_tidied_up_here() -> Iterator[None]:
    """Looking through all of it once takes longer than a message may: it is gigabytes by now, the service's is not."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def knock(frames: list[bytes]) -> None:
    """What the broker does with a message: a request or a ServiceError comes of it, nothing else."""
    began = time.thread_time()
    try:
        request = parse_request(decode(frames, MAX_HEADER), LIMITS)
    except ServiceError as error:
        text = str(error)
        assert text.isprintable()
        assert 0 < len(text) < 1000
        # It can be told.
        encode(Message("error", {"code": error.code, "message": text}))
    else:
        assert isinstance(request, Request)
        json.dumps(request.model_dump(mode="json"), allow_nan=False)
    assert time.thread_time() - began < MOST_S


WORDS = st.sampled_from(
    [
        *REQUESTS,
        "reply",
        "error",
        "event",
        *GOOD["submit"].content,
        "settings",
        "data",
        "path",
        "cam_T_world",
        "K_33",
    ]
)
NUMBERS = [0, -1, True, 1e400, -1e400, 2**31, 2**63, 2**64, 10**400, 1e-320]
TEXTS = ["", "\0", "\ud800", "0" * 32, "a" * 64, "../../etc/passwd", "__class__", "x" * 5000, "nan", "1"]
ODD = st.sampled_from([None, *NUMBERS, *TEXTS]) | st.builds(list) | st.builds(dict)
JSON = st.recursive(
    ODD | WORDS | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def edited(draw: st.DrawFn) -> list[bytes]:
    """A good message with some of its JSON replaced, added or removed at any depth."""
    frames = list(draw(st.sampled_from(GOOD_FRAMES)))
    header = json.loads(frames[0])
    for _ in range(draw(st.integers(1, 3))):
        place: Any = header
        if draw(st.booleans()):
            place = header["content"]
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            action = draw(st.integers(0, 5))
            if action == 0:
                del place[key]
            elif action == 1 and isinstance(place, dict):
                place[draw(WORDS)] = draw(JSON)
            elif action <= 3 or not isinstance(place[key], dict | list):
                place[key] = draw(JSON)
            else:
                place = place[key]
                continue
            break
        if not isinstance(header.get("content"), dict):
            break
    return [json.dumps(header).encode()[: 2 * MAX_HEADER], *frames[1:]]


@st.composite
def scrambled(draw: st.DrawFn) -> list[bytes]:
    """A good message with bytes changed, inserted, cut off or swapped, and frames lost, doubled or added."""
    frames = [bytearray(frame) for frame in draw(st.sampled_from(GOOD_FRAMES))]
    for _ in range(draw(st.integers(1, 4))):
        frame = frames[draw(st.integers(0, len(frames) - 1))] if frames else bytearray()
        at = draw(st.integers(0, len(frame)))
        action = draw(st.integers(0, 6))
        if action == 0:
            frame[at:] = b""
        elif action <= 2:
            frame[at : at + 1] = draw(st.binary(max_size=2))
        elif action == 3:
            frame[at:at] = draw(
                st.sampled_from([b'"', b"{", b"]", b",", b"\\u0000", b"1e999", b"NaN", b"\xff", b"[" * 2000])
            )
        elif action == 4:
            frames.append(bytearray(draw(st.binary(max_size=200))))
        elif action == 5:
            frames += frames[: draw(st.integers(0, 20))]
        elif frames:
            del frames[draw(st.integers(0, len(frames) - 1))]
    return [bytes(frame) for frame in frames]


@st.composite
def described(draw: st.DrawFn) -> list[bytes]:
    """A message whose buffers say they are something else."""
    frames = list(draw(st.sampled_from([each for each in GOOD_FRAMES if len(each) > 1])))
    header = json.loads(frames[0])
    for buffer in header["buffers"]:
        if draw(st.booleans()):
            buffer["shape"] = draw(JSON | st.lists(st.integers(-1, 2**32), max_size=5))
        if draw(st.booleans()):
            buffer["dtype"] = draw(
                st.sampled_from(["uint8", "float64", "float32", "int64", "O", "V8", "<f8", None, 5])
            )
        if draw(st.booleans()):
            buffer["name"] = draw(JSON)
    return [json.dumps(header).encode(), *frames[1:]]


@st.composite
def doubles(draw: st.DrawFn) -> list[bytes]:
    """Cameras and paths made of any bytes."""
    n = draw(st.integers(0, 3))
    if draw(st.booleans()):
        buffers = (
            Buffer("cam_T_world", "float64", (n, 4, 4), draw(st.binary(min_size=128 * n, max_size=128 * n))),
            Buffer("K_33", "float64", (n, 3, 3), draw(st.binary(min_size=72 * n, max_size=72 * n))),
        )
        good = GOOD["render"]
    else:
        text = json.dumps({"version": 1, draw(st.sampled_from(["poses", "control_points"])): draw(JSON)})
        buffers = (Buffer.of_bytes("path", draw(st.binary(max_size=60) | st.just(text.encode()))),)
        good = GOOD["submit"]
    return encode(Message(good.type, good.content, job=good.job, buffers=buffers))


ANYTHING = st.lists(st.binary(max_size=300), max_size=6)


STRATEGIES = {
    "edited": edited(),
    "scrambled": scrambled(),
    "described": described(),
    "doubles": doubles(),
    "anything": ANYTHING,
}


def test_the_good_ones_pass() -> None:
    for frames in GOOD_FRAMES:
        parse_request(decode(frames, MAX_HEADER), LIMITS)


def knock_often(kind: str, examples: int) -> int:
    """Returns how many messages that were."""
    count = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages=st.lists(STRATEGIES[kind], min_size=PER_EXAMPLE, max_size=PER_EXAMPLE))
    def each(messages: list[list[bytes]]) -> None:
        nonlocal count
        for frames in messages:
            knock(frames)
            count += 1

    each()
    return count


@pytest.mark.parametrize("kind", STRATEGIES)
def test_a_few_hundred_bad_messages(kind: str) -> None:
    knock_often(kind, 15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STRATEGIES)
def test_ten_thousand_bad_messages_and_more(kind: str) -> None:
    assert knock_often(kind, 150) >= 2_500  # of each of the five kinds
