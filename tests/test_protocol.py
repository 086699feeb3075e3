"""Messages survive the wire bit by bit, damaged ones raise one kind of error; connection files stay private."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from splinescape.errors import InputError
from splinescape.protocol.arrays import to_array, to_buffer
from splinescape.protocol.connection import Connection, private_file, read_connection, write_connection
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import (
    ITEM_SIZES,
    MAX_BUFFERS,
    MAX_HEADER,
    MAX_REPLY_HEADER,
    Buffer,
    Message,
    decode,
    encode,
    new_id,
    pack,
    unpack,
)

# Messages.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
SHAPES = st.lists(st.integers(0, 5), min_size=1, max_size=4)
IDS = st.builds(new_id)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, list[np.ndarray]]:
    arrays = []
    for shape in draw(st.lists(SHAPES, max_size=4)):
        dtype = draw(st.sampled_from(sorted(ITEM_SIZES)))
        size = int(np.prod(shape)) * ITEM_SIZES[dtype]
        arrays.append(np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape))
    message = Message(
        draw(st.sampled_from(["hello", "reply", "models.download"])),
        draw(st.dictionaries(st.text(), JSON, max_size=4)),
        job=draw(st.none() | IDS),
        parent=draw(st.none() | IDS),
        buffers=tuple(to_buffer(f"b{i}", array) for i, array in enumerate(arrays)),
    )
    return message, arrays


@settings(deadline=None, max_examples=150)
@given(made=messages(), packed=st.booleans())
def test_a_message_survives_the_wire_and_a_file(made: tuple[Message, list[np.ndarray]], packed: bool) -> None:
    message, arrays = made
    again = unpack(pack(message)) if packed else decode([bytes(frame) for frame in encode(message)])
    for name in ("type", "content", "job", "parent", "id"):
        assert getattr(again, name) == getattr(message, name)
    assert len(again.buffers) == len(arrays)
    for buffer, array in zip(again.buffers, arrays, strict=True):
        result = to_array(buffer)
        assert result.dtype == array.dtype
        assert result.shape == array.shape
        assert result.tobytes() == array.tobytes()  # NaN included
        assert not result.flags.writeable


def test_buffers_are_views_of_the_frames_and_not_copies() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    message = decode(encode(Message("reply", buffers=(to_buffer("depth", array),))))
    array[2, 3] = 99
    assert to_array(message.buffer("depth"))[2, 3] == 99


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float64).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
        np.arange(10, dtype=np.uint8)[::-2],
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=">i8"),
        np.zeros((0, 7), np.float32),
        np.float64(2.5),
    ],
)
def test_any_layout_and_byte_order_arrives_as_the_same_numbers(array: np.ndarray) -> None:
    message = Message("reply", buffers=(to_buffer("a", array),))
    for again in (decode(encode(message)), unpack(pack(message))):
        np.testing.assert_array_equal(to_array(again.buffer("a")), np.atleast_1d(array))


@pytest.mark.parametrize(
    "array",
    [np.zeros(2, bool), np.zeros(2, np.float16), np.array(["a"]), np.array([None]), np.zeros(2, complex)],
)
def test_types_that_messages_do_not_carry_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="messages carry"):
        to_buffer("a", array)


def test_too_many_dimensions_are_refused_by_the_sender() -> None:
    with pytest.raises(ValueError, match="5 dimensions"):
        to_buffer("a", np.zeros((1, 1, 1, 1, 1)))


def test_bytes_travel_as_a_flat_buffer() -> None:
    buffer = decode(encode(Message("upload", buffers=(Buffer.of_bytes("data", b"abc"),)))).buffer("data")
    assert (buffer.dtype, buffer.shape, bytes(buffer.data)) == ("uint8", (3,), b"abc")


def test_a_buffer_that_is_missing_is_named() -> None:
    with pytest.raises(ServiceError, match="'upload' lacks the buffer 'data'") as caught:
        Message("upload").buffer("data")
    assert caught.value.code == "bad_message"


def test_numbers_that_json_lacks_are_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(Message("reply", {"eta_s": float("nan")}))


def header(**changes: Any) -> bytes:
    """The header of a good message with some fields changed; one set to `...` is left out."""
    fields = json.loads(encode(Message("ping"))[0]) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


ID = "0" * 32


@pytest.mark.parametrize(
    ("frames", "wrong"),
    [
        ([], "it is empty"),
        ([b""], "not JSON"),
        ([b"\x00\xff"], "not JSON"),
        ([header().decode().encode("utf-16")], "not JSON"),
        ([b"[" * 10_000], "not JSON"),
        ([b"[1]"], "must be an object"),
        ([b'"x"'], "must be an object"),
        ([b'{"id": NaN}'], "not JSON"),
        ([b'{"id": ' + b"1" * 9999 + b"}"], "not JSON"),
        ([header(id=...)], "must be an object with"),
        ([header(id=ID + "0")], '"id"'),
        ([header(id=ID.replace("0", "A"))], '"id"'),
        ([header(id=ID[:-1] + "\n")], '"id"'),
        ([header(id=5)], '"id"'),
        ([header(type="Ping")], '"type"'),
        ([header(type="__class__")], '"type"'),
        ([header(type="ping\n")], '"type"'),
        ([header(type=["ping"])], '"type"'),
        ([header(parent="x")], '"parent"'),
        ([header(job=1)], '"job"'),
        ([header(job="../../etc/passwd")], '"job"'),
        ([header(content=[])], '"content"'),
        ([header(content=None)], '"content"'),
        ([header(protocol="1")], '"protocol"'),
        ([header(protocol=1.0)], '"protocol"'),
        ([header(buffers=None)], '"buffers"'),
        ([header(), b""], '"buffers" must describe the 1 frames'),
        ([header(buffers=[{}])], '"buffers" must describe the 0 frames'),
        ([header(buffers=[{}]), b""], "name, dtype and shape"),
        ([header(buffers=[7]), b""], "name, dtype and shape"),
        ([header(buffers=[{"name": "a/b", "dtype": "uint8", "shape": [0]}]), b""], "name must be a word"),
        ([header(buffers=[{"name": "a", "dtype": "object", "shape": [0]}]), b""], "dtype of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": ["uint8"], "shape": [0]}]), b""], "dtype of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": []}]), b""], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [1] * 5}]), b"x"], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [-1]}]), b""], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [True]}]), b"x"], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [1.0]}]), b"x"], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": "1"}]), b"x"], "shape of buffer a"),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [2**31]}]), b""], "shape of buffer a"),
        (
            [header(buffers=[{"name": "a", "dtype": "uint8", "shape": [0, *[2**31 - 1] * 3]}]), b""],
            "too large",
        ),
        ([header(buffers=[{"name": "a", "dtype": "uint8", "shape": [4]}]), b"xyz"], "3 bytes"),
        ([header(buffers=[{"name": "a", "dtype": "float32", "shape": [2]}]), b"x" * 4], "4 bytes"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(frames: list[bytes], wrong: str) -> None:
    with pytest.raises(ServiceError) as caught:
        decode(frames)
    assert caught.value.code == "bad_message"
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_have_limits() -> None:
    long = Message("reply", {"text": "x" * MAX_HEADER})
    assert decode(encode(long)).content == long.content
    for frames, most in (
        (encode(long), MAX_HEADER),
        ([header(), *[b""] * (MAX_BUFFERS + 1)], MAX_HEADER),
        ([b" " * (MAX_REPLY_HEADER + 1)], MAX_REPLY_HEADER),
    ):
        with pytest.raises(ServiceError) as caught:
            decode(frames, most)
        assert caught.value.code == "too_large"


def test_another_major_version_says_what_to_do_and_a_newer_minor_one_is_understood() -> None:
    with pytest.raises(ServiceError, match="install the same version") as caught:
        decode([header(protocol="2.0")])
    assert caught.value.code == "version"
    assert decode([header(protocol="1.7", added_later=5)]).type == "ping"


@given(cut=st.integers(0, 300), more=st.binary(max_size=6))
def test_a_packed_message_that_was_cut_off_or_hurt_is_no_message(cut: int, more: bytes) -> None:
    whole = pack(Message("reply", {"n": 1}, buffers=(Buffer.of_bytes("data", b"0123456789"),)))
    data = whole[: min(cut, len(whole) - 1)] + more
    if data == whole:
        return
    try:
        unpack(data)
    except ServiceError as error:
        assert error.code == "bad_message"


def test_a_new_message_has_an_id_of_its_own() -> None:
    assert len({Message("ping").id for _ in range(100)}) == 100


def test_frames_of_a_real_socket_are_decoded_without_a_copy() -> None:
    array = np.arange(10_000, dtype=np.float64)
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
        one.bind("inproc://here")
        other.connect("inproc://here")
        one.send_multipart(encode(Message("event", {"seq": 1}, buffers=(to_buffer("a", array),))), copy=False)
        message = decode(other.recv_multipart(copy=False))
    np.testing.assert_array_equal(to_array(message.buffer("a")), array)


def test_the_protocol_needs_neither_numpy_nor_pydantic() -> None:
    code = (
        "import sys, splinescape.protocol.wire, splinescape.protocol.connection, splinescape.protocol.errors\n"
        "assert not {'numpy', 'torch', 'pydantic', 'zmq'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Connection files.

HERE = Connection("tcp://127.0.0.1:5750", "s" * 40, "p" * 40, "k" * 40, "local")


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_connection_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "connection.json"
    for connection in (HERE, replace(HERE, endpoint="tcp://studio.local:80", name="büro")):
        write_connection(path, connection)
        assert read_connection(path) == connection
    assert [file.name for file in path.parent.iterdir()] == ["connection.json"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.usefixtures("loose_umask")
def test_only_the_owner_can_ever_read_it(tmp_path: Path) -> None:
    with private_file(tmp_path / "connection.json", "secret") as temp:
        assert stat.S_IMODE(temp.stat().st_mode) == 0o600
    assert not list(tmp_path.iterdir())
    path = tmp_path / "connection.json"
    path.write_text("{}")
    path.chmod(0o644)
    write_connection(path, HERE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_old_connection_file_stays_whole_when_the_new_one_cannot_be_written(
    tmp_path: Path, read_only_folder: Path
) -> None:
    with pytest.raises(OSError):
        write_connection(read_only_folder / "connection.json", HERE)
    path = tmp_path / "connection.json"
    write_connection(path, HERE)
    with pytest.raises(TypeError):
        write_connection(path, replace(HERE, name=b"not JSON"))  # type: ignore[arg-type]
    assert read_connection(path) == HERE
    assert [file.name for file in tmp_path.iterdir() if file.suffix] == ["connection.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 50_000,
        "\0" * 100_000,
        '{"endpoint": "tcp://a:1"}',
        json.dumps({**vars(HERE), "endpoint": "http://127.0.0.1:5750"}),
        json.dumps({**vars(HERE), "endpoint": "tcp://127.0.0.1"}),
        json.dumps({**vars(HERE), "endpoint": "ipc:///tmp/socket"}),
        json.dumps({**vars(HERE), "endpoint": "tcp://a b:5750"}),
        json.dumps({**vars(HERE), "secret_key": "k" * 39}),
        json.dumps({**vars(HERE), "secret_key": "ä" * 40}),
        json.dumps({**vars(HERE), "server_key": 5}),
        json.dumps({**vars(HERE), "name": None}),
    ],
)
def test_what_is_no_connection_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connection.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a connection file of Splinescape: ask for a new one"):
        read_connection(path)


def test_a_connection_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is the service running"):
        read_connection(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read the connection file"):
        read_connection(tmp_path)
