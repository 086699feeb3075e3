"""Every call is checked against its schema and the limits before anything of it is used."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinescape.camera.path import CameraPath
from splinescape.camera.plain import unfit_pose, unfit_view
from splinescape.camera.pose import check_rigid, look_at
from splinescape.cli.generate import EXTRA_FORMATS
from splinescape.config import SceneConfig
from splinescape.engines import DEPTH_ESTIMATORS, INPAINTERS, RASTERIZERS
from splinescape.errors import InputError
from splinescape.protocol.arrays import to_buffer
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_HEADER, Buffer, Message, decode, encode
from splinescape.service.camera_path import check_camera_path
from splinescape.service.requests import REQUESTS, Submit, parse_request
from splinescape.service.settings import Limits

LIMITS = Limits()
JOB = "0123456789abcdef" * 2
SHA = "0123456789abcdef" * 4
POSE = {"cam_T_world": np.eye(4).tolist()}
PATH = json.dumps({"version": 1, "poses": [POSE, POSE]}).encode()


def cameras(n: int = 1) -> tuple[Buffer, Buffer]:
    K_33 = np.array([[460.0, 0, 256], [0, 460, 192], [0, 0, 1]])
    return (
        to_buffer("cam_T_world", np.repeat(np.eye(4)[None], n, axis=0)),
        to_buffer("K_33", np.repeat(K_33[None], n, axis=0)),
    )


def part(data: bytes = b"picture") -> Buffer:
    return Buffer.of_bytes("data", data)


GOOD: dict[str, Message] = {
    "hello": Message("hello", {"client": "Blender 5.1", "session": JOB, "version": "0.1.0"}),
    "ping": Message("ping"),
    "upload": Message("upload", {"sha256": SHA, "size": 100, "offset": 0}, buffers=(part(),)),
    "submit": Message("submit", {"name": "Straße bei Nacht", "picture": SHA}),
    "list": Message("list", {"states": ["queued", "done"], "limit": 10, "before": JOB}),
    "status": Message("status", job=JOB),
    "events": Message("events", {"since": 5, "limit": 20}, job=JOB),
    "subscribe": Message("subscribe", {"jobs": [JOB], "thumbnails": False}),
    "unsubscribe": Message("unsubscribe"),
    "cancel": Message("cancel", job=JOB),
    "pause": Message("pause", job=JOB),
    "resume": Message("resume", job=JOB),
    "delete": Message("delete", job=JOB),
    "pin": Message("pin", {"pinned": True}, job=JOB),
    "results": Message("results", job=JOB),
    "fetch": Message(
        "fetch", {"name": "gf.compressed.ply", "sha256": SHA, "offset": 0, "length": 9}, job=JOB
    ),
    "render": Message("render", {"width": 64, "height": 48, "buffers": ["rgb"]}, job=JOB, buffers=cameras()),
    "preview": Message("preview", job=JOB),
    "log": Message("log", {"offset": 7}, job=JOB),
    "models": Message("models"),
    "models.download": Message("models.download", {"id": "moge-2-vits-normal", "accept_licence": True}),
    "models.remove": Message("models.remove", {"id": "flux-fill"}),
    "shutdown": Message("shutdown", {"when": "drained"}),
}


def parsed(message: Message, limits: Limits = LIMITS) -> Any:
    """What the broker makes of a message that came over the wire."""
    return parse_request(decode([bytes(frame) for frame in encode(message)], MAX_HEADER), limits)


def refusal(message: Message, limits: Limits = LIMITS) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        parsed(message, limits)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 800
    return caught.value.code, text


def changed(call: str, **content: Any) -> Message:
    """A good message with some of its content changed; what is set to `...` is left out."""
    good = GOOD[call]
    fields = good.content | content
    return replace(good, content={name: value for name, value in fields.items() if value is not ...})


def test_there_is_an_example_of_every_call() -> None:
    assert GOOD.keys() == REQUESTS.keys()


@pytest.mark.parametrize("call", GOOD)
def test_every_call_passes_as_documented(call: str) -> None:
    request = parsed(GOOD[call])
    for name, value in GOOD[call].content.items():
        assert getattr(request, name) == value


@pytest.mark.parametrize("call", GOOD)
def test_every_call_refuses_what_it_does_not_know(call: str) -> None:
    assert refusal(changed(call, path="/etc/passwd"))[0] == "bad_message"
    code, text = refusal(replace(GOOD[call], buffers=(*GOOD[call].buffers, Buffer.of_bytes("extra", b"x"))))
    assert code == "bad_message"
    assert "extra" in text
    if GOOD[call].job is None:
        code, text = refusal(replace(GOOD[call], job=JOB))
        assert (code, "leave the id out" in text) == ("bad_message", True)
    elif call != "events":
        code, text = refusal(replace(GOOD[call], job=None))
        assert (code, "needs the id of a job" in text) == ("bad_message", True)


@pytest.mark.parametrize("call", [call for call in GOOD if GOOD[call].content])
def test_every_field_has_a_type(call: str) -> None:
    for name in GOOD[call].content:
        for wrong in ({"a": 1}, [[]], -1.5):
            code, text = refusal(changed(call, **{name: wrong}))
            assert code in ("bad_message", "bad_input")
            assert name in text


def test_what_may_be_left_out() -> None:
    submit = parsed(GOOD["submit"])
    assert submit.settings == SceneConfig()
    assert submit.engines.model_dump() == {"inpaint": "auto", "depth": "auto", "raster": "auto"}
    assert (submit.focal_px, submit.formats, submit.film, submit.pinned) == (None, [], False, False)
    assert parsed(Message("list")).states is None
    assert parsed(Message("events")).since == 0
    assert parsed(Message("subscribe")).jobs is None
    for call, name in (("hello", "session"), ("upload", "size"), ("submit", "picture"), ("shutdown", "when")):
        code, text = refusal(changed(call, **{name: ...}))
        assert (code, f"{name} is missing" in text) == ("bad_message", True)


def test_a_submitted_job_is_plain_data_with_every_setting() -> None:
    content = {
        "settings": {"n_frames": 5, "prompt": "ein Haus\nam See"},
        "engines": {"raster": "cpu"},
        "focal_px": 512,
        "formats": ["spz"],
    }
    spec = parsed(changed("submit", **content)).model_dump(mode="json")
    assert spec == json.loads(json.dumps(spec))
    assert spec["settings"] == SceneConfig(n_frames=5, prompt="ein Haus\nam See").model_dump()
    assert spec["engines"] == {"inpaint": "auto", "depth": "auto", "raster": "cpu"}
    assert parsed(Message("submit", spec)).settings.n_frames == 5


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (Message("pong"), "bad_message", "there is no call 'pong'; there are: hello, ping"),
        (Message("reply"), "bad_message", "there is no call 'reply'"),
        (changed("hello", session="x"), "bad_input", "session: must be 32 hexadecimal digits"),
        (changed("hello", client="\x1b[2J"), "bad_input", "client: must not have control characters"),
        (changed("upload", sha256=SHA.upper()), "bad_input", "sha256: must be 64 hexadecimal digits"),
        (changed("upload", sha256="../../keys/server.json"), "bad_input", "sha256: must be 64 hexadecimal"),
        (changed("upload", size=0), "bad_input", "size must be at least 1, not 0"),
        (changed("upload", size=2**63), "bad_input", "size must be below 9223372036854775808"),
        (changed("upload", size=True), "bad_message", "size must be a whole number, not true"),
        (changed("upload", offset=-1), "bad_input", "offset must be at least 0, not -1"),
        (
            changed("upload", offset=99),
            "bad_input",
            "the part ends at 106, behind the end of the picture at 100",
        ),
        (changed("upload", size=2**30), "too_large", "at most 64 MiB are allowed"),
        (replace(GOOD["upload"], buffers=()), "bad_message", "it lacks the buffer data"),
        (replace(GOOD["upload"], buffers=(part(), part())), "bad_message", "the buffer data more than once"),
        (
            replace(GOOD["upload"], buffers=(to_buffer("data", np.zeros((2, 2), np.uint8)),)),
            "bad_message",
            "the buffer data must be uint8 of shape (n), not uint8 of shape (2, 2)",
        ),
        (changed("submit", name=""), "bad_input", "name must have a length of at least 1"),
        (changed("submit", name="x" * 300), "too_large", "name must have at most 256 characters"),
        (changed("submit", name="\ud800"), "bad_message", "valid Unicode"),
        (changed("submit", name="a\u202eb"), "bad_input", "control characters"),
        (changed("submit", focal_px=0), "bad_input", "focal_px must be more than 0, not 0"),
        (changed("submit", focal_px=1e300), "bad_input", "focal_px must be at most 10000000"),
        (
            changed("submit", settings={"n_frames": 1}),
            "bad_input",
            "settings.n_frames must be at least 2, not 1",
        ),
        (
            changed("submit", settings={"stage": "best"}),
            "bad_input",
            "settings.stage must be 'no-outpaint', ",
        ),
        (
            changed("submit", settings={"checkpoint_dir": "/"}),
            "bad_input",
            "'settings.checkpoint_dir' is not known",
        ),
        (
            changed("submit", settings={"prompt": "x" * 4001}),
            "bad_input",
            "settings.prompt must have at most 4000",
        ),
        (
            changed("submit", settings={"prompt": "\udfff"}),
            "bad_input",
            "settings.prompt must be text in valid",
        ),
        (changed("submit", settings=None), "bad_input", "settings must be an object"),
        (
            changed("submit", settings={"coarse_min_inpaint_ratio": 0.9}),
            "bad_input",
            "coarse_min_inpaint_ratio must not exceed",
        ),
        (changed("submit", settings={"traj_type": "json"}), "bad_input", "needs a camera path"),
        (
            changed("submit", engines={"depth": "os.system"}),
            "bad_input",
            "no depth engine 'os.system'; choose one",
        ),
        (changed("submit", engines={"depth": "https://x/y"}), "bad_input", "choose one of: auto, moge"),
        (changed("submit", engines={"film": "x"}), "bad_input", "'engines.film' is not known here"),
        (
            changed("submit", formats=["exe"]),
            "bad_message",
            "formats[0] must be 'compressed.ply', 'spz' or 'splat'",
        ),
        (changed("submit", formats=["spz", "spz"]), "bad_input", "formats: must not name anything twice"),
        (changed("submit", film=1), "bad_message", "film must be true or false, not 1"),
        (changed("list", limit=101), "bad_input", "limit must be at most 100, not 101"),
        (changed("list", states=["lost"]), "bad_message", "states[0] must be 'queued'"),
        (changed("events", since=-1), "bad_input", "since must be at least 0"),
        (changed("subscribe", jobs=[JOB] * 1001), "too_large", "jobs must have a length of at most 1000"),
        (changed("pin", pinned=None), "bad_message", "pinned must be true or false, not null"),
        (
            changed("fetch", name="../checkpoint"),
            "bad_input",
            "name: must be the plain name of one of the job's files",
        ),
        (changed("fetch", name=".bashrc"), "bad_input", "plain name"),
        (changed("fetch", name="C:\\gf.ply"), "bad_input", "plain name"),
        (changed("fetch", length=0), "bad_input", "length must be at least 1"),
        (changed("fetch", length=LIMITS.chunk + 1), "too_large", "at most 262144 are given at once"),
        (changed("models.download", id="../x"), "bad_input", "id: must be the id of a model"),
        (
            changed("models.download", id="https://evil.example/m"),
            "bad_input",
            "id: must be the id of a model",
        ),
        (changed("shutdown", when="later"), "bad_message", "when must be 'now' or 'drained', not 'later'"),
        (changed("render", width=0), "bad_input", "width must be at least 1, not 0"),
        (changed("render", buffers=[]), "bad_input", "buffers must have a length of at least 1"),
        (changed("render", buffers=["rgb", "rgb"]), "bad_input", "must not name anything twice"),
        (changed("render", width=8000, height=8000), "too_large", "at most 8388608 pixels"),
    ],
)
def test_what_cannot_be_is_refused_by_name(message: Message, code: str, words: str) -> None:
    told, text = refusal(message)
    assert words in text
    assert told == code


def test_limits_are_those_of_the_settings() -> None:
    small = Limits(
        picture_bytes=2000, chunk=1024, render_views=1, render_pixels=2**12, path_bytes=1024, path_points=2
    )
    upload = replace(GOOD["upload"], content={"sha256": SHA, "size": 2000, "offset": 0})
    parsed(replace(upload, buffers=(part(bytes(1024)),)), small)
    assert refusal(replace(upload, buffers=(part(bytes(1025)),)), small)[0] == "too_large"
    assert refusal(replace(upload, content=upload.content | {"size": 2001}), small)[0] == "too_large"
    assert refusal(changed("fetch", length=1025), small)[0] == "too_large"
    parsed(changed("render", width=64, height=64), small)
    assert refusal(changed("render", width=65, height=64), small)[0] == "too_large"
    two = replace(changed("render", width=8, height=8), buffers=cameras(2))
    assert refusal(two, small)[0] == "too_large"
    parsed(two, Limits(render_views=2))


def submitted(path: bytes, limits: Limits = LIMITS, **content: Any) -> Submit:
    return parsed(replace(changed("submit", **content), buffers=(Buffer.of_bytes("path", path),)), limits)


def test_a_camera_path_comes_with_the_job() -> None:
    assert (
        submitted(PATH).settings.traj_type == "spiral"
    )  # a path goes before the settings, as in the library
    assert submitted(PATH, settings={"traj_type": "spline"}).settings.traj_type == "spline"


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        (b"", "bad_input", "the camera path is not JSON"),
        (b"/etc/passwd", "bad_input", "the camera path is not JSON"),
        (b'"/etc/passwd"', "bad_input", "must be a JSON object"),
        (b"[]", "bad_input", "must be a JSON object"),
        (b"\xff{}", "bad_input", "the camera path is not JSON"),
        (PATH + bytes(2**20), "too_large", "bytes, at most 1048576 are allowed"),
        (json.dumps({"version": 1, "poses": [POSE] * 3001}).encode(), "bad_input", "more than 3000 points"),
        (PATH.replace(b"1.0", b"2.0", 1), "bad_input", "pose 0 is not a rotation (off by 3)"),
        (PATH.replace(b"1.0", b"1e999", 1), "bad_input", "poses[0].cam_T_world[0][0]"),
        (PATH.replace(b"1.0", b"-1.0", 1), "bad_input", "pose 0 mirrors the world"),
        (b'{"version": 1, "file": "/etc/passwd"}', "bad_input", "'file' is not a part of the format"),
    ],
)
def test_a_camera_path_that_cannot_be_used_is_refused(path: bytes, code: str, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        submitted(path)
    assert words in str(caught.value)
    assert caught.value.code == code


# Cameras of renderings.


def rendered(cam_T_world: np.ndarray, K_33: np.ndarray) -> Message:
    return replace(GOOD["render"], buffers=(to_buffer("cam_T_world", cam_T_world), to_buffer("K_33", K_33)))


EYE, LENS = np.eye(4)[None], np.array([[[460.0, 0, 256], [0, 460, 192], [0, 0, 1]]])


def with_entry(array: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    result = array.copy()
    result[-1, row, column] = value
    return result


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (rendered(EYE[:0], LENS[:0]), "0 cameras"),
        (rendered(EYE, LENS.repeat(2, 0)), "1 cameras in cam_T_world and 2 in K_33"),
        (rendered(with_entry(EYE, 0, 3, math.inf), LENS), "pose 0 has numbers that are not finite"),
        (rendered(with_entry(EYE, 1, 1, math.nan), LENS), "pose 0 has numbers that are not finite"),
        (rendered(with_entry(EYE, 1, 1, 1.1), LENS), "pose 0 is not a rotation"),
        (rendered(with_entry(EYE, 1, 1, -1), LENS), "pose 0 mirrors the world"),
        (rendered(with_entry(EYE, 3, 0, 5), LENS), "pose 0 has the bottom row [5.0, 0.0, 0.0, 1.0]"),
        (rendered(with_entry(EYE.repeat(3, 0), 0, 0, 9), LENS.repeat(3, 0)), "pose 2 is not a rotation"),
        (rendered(EYE, with_entry(LENS, 0, 0, 0)), "camera 0 has the focal lengths 0 and 460"),
        (rendered(EYE, with_entry(LENS, 1, 1, -460)), "both must be above 0"),
        (rendered(EYE, with_entry(LENS, 0, 2, math.nan)), "camera 0 has numbers that are not finite"),
        (rendered(EYE, with_entry(LENS, 0, 2, 1e30)), "far too large"),
        (rendered(EYE, with_entry(LENS, 2, 2, 2)), "camera 0 has the bottom row [0.0, 0.0, 2.0]"),
    ],
)
def test_cameras_that_cannot_be_are_refused_by_number(message: Message, words: str) -> None:
    code, text = refusal(message)
    assert code == "bad_input"
    assert words in text


def test_cameras_of_another_type_or_shape_are_refused() -> None:
    code, text = refusal(rendered(EYE.astype(np.float32), LENS))
    assert code == "bad_message"
    assert "the buffer cam_T_world must be float64 of shape (n, 4, 4), not float32 of shape (1, 4, 4)" in text
    assert refusal(rendered(EYE[:, :3], LENS))[0] == "bad_message"
    assert refusal(rendered(EYE[0], LENS[0]))[0] == "bad_message"


# The service refuses what the library refuses, without numpy.

ODD = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-13, 1e-3, 1.0005, 9.99e-4, 1e12, 1e154, 1e200, 1.7e308]
)
NUMBERS = st.one_of(ODD, st.floats(-3, 3), st.floats(width=64))


@settings(deadline=None, max_examples=300)
@given(
    angles=st.tuples(*[st.floats(-4, 4)] * 3),
    entries=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), NUMBERS), max_size=3),
    scale=st.sampled_from([1, 1, 1, 1.0003, 0.9998, 1.002, -1, 1e-9, 1e160]),
)
def test_the_same_poses_are_rigid_with_and_without_numpy(
    angles: tuple[float, float, float], entries: list[tuple[int, int, float]], scale: float
) -> None:
    pose = look_at(
        (1, 2, 3),
        np.add((1, 2, 3), [math.cos(angles[0]), angles[1], math.sin(angles[0])]),
        roll_deg=angles[2],
    )
    pose[:3, :3] *= scale
    for row, column, value in entries:
        pose[row, column] = value
    reason = unfit_pose(pose.tolist())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_rigid(pose[None])
    except InputError as error:
        assert reason is not None
        assert str(error).split("(off by")[0] == f"pose 0 {reason}".split("(off by")[0]
    else:
        assert reason is None


@settings(deadline=None, max_examples=250)
@given(eye=st.tuples(*[NUMBERS] * 3), offset=st.tuples(*[NUMBERS] * 3), relative=st.booleans())
def test_the_same_cameras_have_a_direction_with_and_without_numpy(
    eye: tuple[float, ...], offset: tuple[float, ...], relative: bool
) -> None:
    target = tuple(e + o * 1e-12 for e, o in zip(eye, offset, strict=True)) if relative else offset
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            look_at(eye, target)
    except InputError as error:
        assert unfit_view(eye, target) == str(error)
    else:
        assert unfit_view(eye, target) is None


COORDINATES = st.one_of(
    st.integers(-3, 3), st.floats(-5, 5), ODD, st.sampled_from([1e999, 2e12, None, "1", True])
)
VECTORS = st.lists(COORDINATES, min_size=3, max_size=3) | st.lists(COORDINATES, max_size=5)
GOOD_VECTORS = st.lists(st.integers(-3, 3) | st.floats(-5, 5), min_size=3, max_size=3)
FOVS = st.sampled_from([45, 45.5, 50, 60.25, 1e-3, 179.9] * 5 + [None, 0, 180, -5, 1e-300])
ROTATIONS = st.sampled_from(
    [np.eye(4), *(look_at((0, 0, 0), (i, 1, 2)) for i in range(4)), np.diag([1, 1, -1, 1.0])]
)


@st.composite
def path_texts(draw: st.DrawFn) -> str:
    """Camera paths that are good, nearly good, or wrong in some place."""
    kind = draw(st.sampled_from(["poses", "control_points"]))
    points = []
    fov = draw(st.booleans())
    for _ in range(draw(st.integers(1, 5))):
        if kind == "poses":
            matrix = draw(ROTATIONS).copy()
            matrix[:3, 3] = draw(GOOD_VECTORS)
            point: dict[str, Any] = {"cam_T_world": matrix.tolist()}
            if draw(st.integers(0, 6)) == 0:
                point["cam_T_world"][draw(st.integers(0, 3))][draw(st.integers(0, 3))] = draw(COORDINATES)
        else:
            odd = draw(st.integers(0, 12)) == 0
            point = {"position": draw(VECTORS if odd else GOOD_VECTORS)}
            direction = draw(st.sampled_from(["look_at", "look_at", "ahead", "orientation"] * 5 + ["both"]))
            if direction in ("look_at", "both"):
                point["look_at"] = draw(VECTORS if odd else GOOD_VECTORS)
                point["roll_deg"] = draw(st.sampled_from([0, 30.5, -1e6] * 9 + [2e6]))
            if direction in ("orientation", "both"):
                point["orientation"] = draw(
                    st.sampled_from([[1, 0, 0, 0], [0.6, 0, 0.8, 0]] * 9 + [[1, 1, 0, 0], [0] * 4])
                )
        if fov:
            point["fov_y_deg"] = draw(FOVS)
        if draw(st.integers(0, 30)) == 0:
            point[draw(st.sampled_from(["speed", "positi\u006fn", "fov_y_deg", ""]))] = draw(COORDINATES)
        points.append(point)
    data: dict[str, Any] = {
        "version": draw(st.sampled_from([1] * 40 + [2, 1.0, "1", True, None])),
        kind: points,
    }
    if draw(st.integers(0, 5)) == 0:
        data["closed"] = draw(st.sampled_from([True, False, 1, "yes", None]))
    if draw(st.integers(0, 20)) == 0:
        data[draw(st.sampled_from(["poses", "control_points", "more"]))] = draw(
            st.sampled_from([[], None, 5, {}])
        )
    text = json.dumps(data, allow_nan=True)
    if draw(st.integers(0, 12)) == 0:
        cut = draw(st.integers(0, len(text)))
        text = text[:cut] + draw(st.sampled_from(["", "}", "NaN", ",", "\ufeff", "0", '"'])) + text[cut:]
    return text


def refused_by_broker(text: str) -> str | None:
    try:
        check_camera_path(text.encode(), 100)
    except InputError as error:
        return str(error)
    return None


def refused_by_library(file: Path) -> str | None:
    try:
        CameraPath.from_json(file)
    except InputError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def path_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("path") / "path.json"


@settings(deadline=None, max_examples=150)
@given(text=path_texts())
def test_the_same_camera_paths_are_refused_with_and_without_numpy(path_file: Path, text: str) -> None:
    path_file.write_text(text, encoding="utf-8")
    here, there = refused_by_broker(text), refused_by_library(path_file)
    if there is not None and there.startswith("a camera at"):
        return  # between its keys the curve meets the point it looks at, which only the worker sees
    assert (here is None) == (there is None), (here, there)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"poses": [POSE, POSE]})[:-1] + ', "version": 2, "version": 1}',
        json.dumps({"poses": [POSE, POSE]})[:-1] + ', "version": 1, "version": 2}',
        json.dumps({"version": 1, "poses": [POSE, POSE]})[:-1] + ', "poses": []}',
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("1.0", "1" + "0" * 400),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("1.0", "1" * 5000),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("1.0", "1e0"),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("0.0", "-0"),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("version", "\\u0076ersion"),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("version", "\\ud800"),
        json.dumps({"version": 1, "poses": [POSE, POSE]}).replace("0.0", "[" * 300 + "]" * 300, 1),
        json.dumps({"version": 1, "poses": [[], {}, None]}),
        json.dumps({"version": 1, "poses": {"0": POSE, "1": POSE}}),
        json.dumps(
            {"version": 1, "control_points": [{"position": [0, 0, 1e12]}, {"position": [0, 0, -1e12]}]}
        ),
        json.dumps({"version": 1, "control_points": [{"position": {}}, {"position": "abc"}]}),
        " \n",
        "null",
        "{",
    ],
)
def test_odd_texts_of_camera_paths_meet_the_same_fate(path_file: Path, text: str) -> None:
    path_file.write_text(text, encoding="utf-8")
    here, there = refused_by_broker(text), refused_by_library(path_file)
    assert (here is None) == (there is None), (here, there)


# The lists that clients choose from.


def test_formats_and_engines_are_the_commands() -> None:
    assert parsed(changed("submit", formats=list(EXTRA_FORMATS))).formats == list(EXTRA_FORMATS)
    for role, table in (("inpaint", INPAINTERS), ("depth", DEPTH_ESTIMATORS), ("raster", RASTERIZERS)):
        for entry in table:
            assert getattr(parsed(changed("submit", engines={role: entry.name})).engines, role) == entry.name


# What it costs.

_HOSTILE = """
import json, sys, time
from splinescape.protocol.errors import ServiceError
from splinescape.protocol.wire import MAX_HEADER, Buffer, Message, decode, encode
from splinescape.service.requests import parse_request
from splinescape.service.settings import Limits

heavy = {'numpy', 'torch', 'scipy', 'PIL', 'zmq', 'click'} & sys.modules.keys()
assert not heavy, heavy
limits, sha, size = Limits(), 'a' * 64, 2**20

def junk(start, piece, end, most):
    return start + piece * ((most - len(start) - len(end)) // len(piece)) + end

def submits(path):
    return Message('submit', {'name': 'x', 'picture': sha}, buffers=(Buffer.of_bytes('path', path),))

points = b'{"version":1,"control_points":['
good = b'{"position":[0.5,0.25,1.5],"look_at":[0.5,0.25,9.5],"roll_deg":2.5,"fov_y_deg":50}'
messages = [
    Message('submit', {f'{i:x}': 0 for i in range(6000)}),
    Message('submit', {'name': 'x', 'picture': sha, 'settings': {f'{i:x}': 0 for i in range(6000)}}),
    Message('submit', {'name': 'x', 'picture': sha, 'engines': {f'{i:x}': 0 for i in range(6000)}}),
    Message('submit', {'name': 'x', 'picture': sha, 'formats': [{}] * 15000}),
    Message('submit', {'name': ['x'] * 12000, 'picture': sha}),
    Message('subscribe', {'jobs': ['x'] * 12000}),
    Message('list', {'states': [[]] * 15000}),
    submits(junk(points, b'{},', b'0]}', size)),
    submits(junk(points, b'[],', b'0]}', size)),
    submits(junk(points, b'0,', b'0]}', size)),
    submits(junk(points, b'"a",', b'0]}', size)),
    submits(junk(points, b'{"position":[0,0,0]},', b'0]}', size)),
    submits(junk(points + b'{"position":[', b'1.5,', b'0]}]}', size)),
    submits(junk(b'{"version":[', b'0,', b'0]}', size)),
    submits(junk(b'', b'[', b'', size)),
    submits(junk(b'', b'{"a":', b'', size)),
    submits(junk(b'{"', b'a', b'":0}', size)),
    submits(b'{' + b','.join(b'"%x":0' % i for i in range(90000)) + b'}'),
    submits(points + b','.join([good] * 3000) + b']}'),
]
slowest = {}
for message in messages:
    frames = [bytes(frame) for frame in encode(message)]
    began = time.process_time()
    try:
        parse_request(decode(frames, MAX_HEADER), limits)
    except ServiceError:
        pass
    slowest[time.process_time() - began] = frames[-1][:60].decode()
peak = 0
if sys.platform == 'linux':
    lines = open('/proc/self/status').read().splitlines()
    peak = 1024 * next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))
print(json.dumps({'slowest': max(slowest.items()), 'peak': peak}))
"""


def test_hostile_messages_cost_neither_time_nor_memory() -> None:
    ran = subprocess.run([sys.executable, "-c", _HOSTILE], capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout)
    assert told["slowest"][0] < 0.25, told
    assert told["peak"] < 64 * 2**20, told
