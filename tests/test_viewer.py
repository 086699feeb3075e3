"""The Rerun recording: what is in it, in which units, and how it is laid out. All with the real SDK."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from splinescape.camera.pose import look_at
from splinescape.camera.view import View
from splinescape.errors import EngineUnavailableError, InputError
from splinescape.events import FrameAdded, Note
from splinescape.render import RenderedFrame
from splinescape.scene.frame import Frame
from splinescape.scene.lift import lift_frame
from splinescape.scene.splats import Splats

rr = pytest.importorskip("rerun")

from rerun.chunk import RrdReader  # noqa: E402

from splinescape.viewer.rerun_blueprint import COARSE, FINAL, INITIALIZATION, Shown, blueprint  # noqa: E402
from splinescape.viewer.rerun_log import RerunLog  # noqa: E402
from splinescape.viewer.rerun_sink import WEB_PORT, check_rerun, open_recording  # noqa: E402

LAYERS = ("rgb", "depth", "dpt_conf_mask", "inpaint_mask", "inpaint_wo_edges_mask")
FAR_M = 250.0


def make_frame(width: int, height: int, cam_T_world: np.ndarray) -> Frame:
    """A wall 2 m away on the left, one 250 m away on the right, sky in the top row."""
    depth = np.full((height, width), 2.0, np.float32)
    depth[:, width // 2 :] = FAR_M
    depth[0] = np.inf
    known = np.ones((height, width), bool)
    off_edge = known.copy()
    off_edge[:, width // 2 - 1] = False
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[..., 0] = np.linspace(0, 1, width)
    K = np.array([[width, 0, width / 2 - 3], [0, width, height / 2 + 2], [0, 0, 1]], float)
    return Frame(rgb, depth, np.isfinite(depth).astype(np.float32), known, off_edge, K, cam_T_world)


def lifted(frame: Frame) -> Splats:
    return lift_frame(frame, 1000.0, frame.inpaint_wo_edge).splats


@pytest.fixture(scope="module")
def job() -> list[tuple[str, Frame, Splats]]:
    moved = look_at((0.5, -0.2, 0.1), (0, 0, 5))
    frames = [
        ("input", make_frame(64, 48, np.eye(4))),
        ("outpaint", make_frame(96, 64, np.eye(4))),
        ("expanded", make_frame(96, 64, moved)),
        ("closing", make_frame(96, 64, moved)),
    ]
    return [(role, frame, lifted(frame)) for role, frame in frames]


@pytest.fixture(scope="module")
def recording(job: list[tuple[str, Frame, Splats]], tmp_path_factory: pytest.TempPathFactory) -> RrdReader:
    """A whole job as the command line logs it, saved and opened again."""
    file = tmp_path_factory.mktemp("rerun") / "scene.rrd"
    with open_recording("save", file) as opened:
        log = RerunLog(opened.stream)
        for index, (role, frame, splats) in enumerate(job):
            log(FrameAdded(role, index, frame, splats))  # type: ignore[arg-type]
        log(Note("listeners hear every event; this one shows nothing"))
        log.scene(job[0][2])
        view = View(64, 48, job[0][1].K_33, job[2][1].cam_T_world)
        for i in range(3):
            rgb = np.full((48, 64, 3), 40 * i, np.uint8)
            log.final_frame(RenderedFrame(i, 3, view, rgb, np.full((48, 64), 1.5 + i, np.float32)))
        assert not file.exists(), "an older recording must stay until the new one is complete"
    return RrdReader(str(file))


@pytest.fixture(scope="module")
def columns(recording: RrdReader) -> dict[str, dict[str, list]]:
    """Entity path -> component -> its values in the order of logging."""
    found: dict[str, dict[str, list]] = {}
    for chunk in recording.stream().to_chunks():
        batch = chunk.to_record_batch()
        entity = found.setdefault(str(chunk.entity_path), {})
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in ("RowId", "log_time"):
                continue
            entity.setdefault(name, []).extend(value for value in column.to_pylist() if value is not None)
    return found


def test_every_camera_has_its_pictures_and_masks(columns: dict[str, dict[str, list]]) -> None:
    for camera in ("camera_input", "camera_outpaint", "camera_4", "camera_5"):
        for layer in LAYERS:
            assert f"/world/{camera}/pinhole/{layer}" in columns
        assert f"/world/{camera}_point_cloud" in columns
    for path in ("/final/final_gaussian_scene", "/final/camera/pinhole/rgb", "/final/camera/pinhole/depth"):
        assert path in columns


def test_depth_is_float_metres_beyond_65_m(columns: dict[str, dict[str, list]]) -> None:
    entity = columns["/world/camera_outpaint/pinhole/depth"]
    depth = np.frombuffer(bytes(entity["DepthImage:buffer"][0][0]), np.float32).reshape(64, 96)
    assert entity["DepthImage:meter"] == [[1.0]]
    assert depth[10, 10] == 2.0
    assert depth[10, 90] == FAR_M
    assert (depth[0] == 0).all(), "sky is left out"
    assert (depth[:, 47] == 0).all(), "occlusion edges are left out"


def test_pinholes_are_those_of_the_frames(
    columns: dict[str, dict[str, list]], job: list[tuple[str, Frame, Splats]]
) -> None:
    for camera, (_, frame, _) in zip(("input", "outpaint", "4", "5"), job, strict=True):
        pinhole = columns[f"/world/camera_{camera}/pinhole"]
        K = np.array(pinhole["Pinhole:image_from_camera"][0][0]).reshape(3, 3).T
        np.testing.assert_allclose(K, frame.K_33)
        assert pinhole["Pinhole:resolution"][0][0] == [frame.width, frame.height]
        transform = columns[f"/world/camera_{camera}"]
        rotation = np.array(transform["Transform3D:mat3x3"][0][0]).reshape(3, 3).T
        np.testing.assert_allclose(rotation, frame.cam_T_world[:3, :3], atol=1e-6)
        np.testing.assert_allclose(
            transform["Transform3D:translation"][0][0], frame.cam_T_world[:3, 3], atol=1e-6
        )
        assert transform["Transform3D:relation"][0][0] == rr.TransformRelation.ChildFromParent.value


def test_gaussians_carry_their_radii(
    columns: dict[str, dict[str, list]], job: list[tuple[str, Frame, Splats]]
) -> None:
    splats = job[0][2]
    scene = columns["/final/final_gaussian_scene"]
    np.testing.assert_allclose(scene["GaussianSplats3D:scales"][0], splats.scales.numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        scene["GaussianSplats3D:quaternions"][0], splats.quats[:, [1, 2, 3, 0]].numpy(), rtol=1e-6
    )
    radii = np.array(columns["/world/camera_input_point_cloud"]["Points3D:radii"][0])
    scales = np.sort(splats.scales.numpy(), axis=1)
    assert (radii <= scales[:, 2] * 1.001).all()
    assert (radii >= scales[:, 1] * 0.999).all()


def test_time_runs_through_frames_and_final_render(columns: dict[str, dict[str, list]]) -> None:
    frames = [columns[f"/world/camera_{c}/pinhole/rgb"]["time"][0] for c in ("input", "outpaint", "4", "5")]
    assert frames == [1, 2, 3, 4]
    assert columns["/final/camera/pinhole/rgb"]["time"] == [5, 6, 7]


def test_the_recording_brings_its_blueprint(recording: RrdReader) -> None:
    assert recording.blueprints()


def _layout(shown: Shown, active_tab: int) -> dict:
    """The blueprint as nested names, shares and view origins."""

    def describe(part: object) -> dict:
        contents = [describe(child) for child in getattr(part, "contents", []) if not isinstance(child, str)]
        shares = getattr(part, "column_shares", None) or getattr(part, "row_shares", None)
        return {
            "name": part.name,
            "shares": shares,
            "contents": contents,
            "origin": getattr(part, "origin", None),
        }  # type: ignore[attr-defined]

    tabs = blueprint(shown, active_tab).root_container
    return describe(tabs) | {"active": tabs.active_tab}


@pytest.mark.parametrize(("landscape", "shares"), [(True, [1, 1]), (False, [5, 2])])
def test_three_tabs_follow_the_orientation(landscape: bool, shares: list[int]) -> None:
    cameras = [f"/world/camera_{i}" for i in range(4, 13)]
    shown = Shown(["/world/camera_input", "/world/camera_outpaint"], cameras, landscape, 3.0)
    layout = _layout(shown, COARSE)
    assert [tab["name"] for tab in layout["contents"]] == ["Initialization", "Coarse Scene", "Final Scene"]
    assert layout["active"] == COARSE
    initialization, coarse, final = layout["contents"]
    assert initialization["shares"] == shares
    assert coarse["shares"] == [5, 3]
    assert final["shares"] == [9, 4]
    assert [view["name"] for view in initialization["contents"][1]["contents"]] == [
        "camera_input",
        "camera_outpaint",
    ]
    shown_cameras = [view["name"] for view in coarse["contents"][1]["contents"]]
    assert shown_cameras == ["camera_4", "camera_6", "camera_8", "camera_10", "camera_12"]
    assert final["contents"][1]["origin"] == "/final/camera/pinhole"


@pytest.mark.parametrize("tab", [INITIALIZATION, COARSE, FINAL])
def test_the_layout_stands_before_anything_is_logged(tab: int) -> None:
    assert _layout(Shown(), tab)["active"] == tab


def test_a_failed_job_leaves_the_older_recording(tmp_path: Path) -> None:
    file = tmp_path / "scene.rrd"
    file.write_bytes(b"older")
    with pytest.raises(RuntimeError), open_recording("save", file) as opened:
        opened.stream.log("something", rr.TextLog("x"))
        raise RuntimeError("the job failed")
    assert file.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [file]


def test_unreachable_viewers_are_found_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"no Rerun viewer listens .* start one there with: rerun"):
        check_rerun("connect", f"rerun+http://127.0.0.1:{port}/proxy")
    with pytest.raises(InputError, match="is not a Rerun address"):
        check_rerun("connect", "127.0.0.1:9876")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(InputError, match="needs a display"):
        check_rerun("spawn")


def test_a_missing_sdk_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    with pytest.raises(EngineUnavailableError, match=r"pip install 'splinescape\[rerun\]'"):
        check_rerun("save")
    check_rerun("off")


def test_serving_answers_on_this_machine_only_and_ends_with_the_job(tmp_path: Path) -> None:
    try:
        check_rerun("serve")
    except InputError as taken:
        pytest.skip(str(taken))
    with open_recording("serve", tmp_path / "unused.rrd") as opened:
        RerunLog(opened.stream).final_frame(
            RenderedFrame(
                0,
                1,
                View(8, 8, np.diag([8.0, 8.0, 1.0]), np.eye(4)),
                np.zeros((8, 8, 3), np.uint8),
                np.ones((8, 8), np.float32),
            )
        )
        with urllib.request.urlopen(opened.place, timeout=10) as page:
            assert page.status == 200
        with pytest.raises(InputError, match=r"port 9876 is taken, .* use --rerun save"):
            check_rerun("serve")
        assert not _reachable(_own_address(), WEB_PORT)
    assert not _reachable("127.0.0.1", WEB_PORT)
    assert list(tmp_path.iterdir()) == []


def _own_address() -> str:
    """An address of this machine other than localhost, as far as it has one; connects to nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address besides localhost")
        return str(probe.getsockname()[0])


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
