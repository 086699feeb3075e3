"""The camera path as poses, against Blender's own constraints and its own curve evaluation."""

from __future__ import annotations

import json
import math

import bpy
import numpy as np
import pytest
from bl_ext.user_default.splinescape.path import sampling
from bl_ext.user_default.splinescape.path.errors import PathError
from mathutils import Matrix

from splinescape.camera.blender import matrix_world


def settings() -> bpy.types.PropertyGroup:
    return bpy.context.scene.splinescape.path


def depsgraph() -> bpy.types.Depsgraph:
    bpy.context.view_layer.update()
    return bpy.context.evaluated_depsgraph_get()


def sample(n: int) -> np.ndarray:
    return sampling.sample_path(bpy.context.scene, depsgraph(), n)


def add(name: str, data: bpy.types.ID | None) -> bpy.types.Object:
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


def curve_of(kind: str, points: np.ndarray, *, cyclic: bool = False) -> bpy.types.Object:
    data = bpy.data.curves.new("Path", "CURVE")
    data.dimensions = "3D"
    add_spline(data, kind, points).use_cyclic_u = cyclic
    made = add("Path", data)
    settings().object = made
    return made


def add_spline(data: bpy.types.Curve, kind: str, points: np.ndarray) -> bpy.types.Spline:
    spline = data.splines.new(kind)
    if kind == "BEZIER":
        spline.bezier_points.add(len(points) - 1)
        for knot, point in zip(spline.bezier_points, points, strict=True):
            knot.co = point
            knot.handle_left_type = knot.handle_right_type = "AUTO"
        return spline
    spline.points.add(len(points) - 1)
    for knot, point in zip(spline.points, points, strict=True):
        knot.co = (*point, 1)
    if kind == "NURBS":
        spline.order_u, spline.use_endpoint_u = 4, True
    return spline


POINTS = np.array([[0, -3, 1.6], [1, -2, 2], [1.5, 0, 1.2], [0.3, 1.5, 1.7], [-1, 2, 2.4]])


def target_at(place: tuple[float, float, float]) -> bpy.types.Object:
    empty = add("Aim", None)
    empty.location = place
    settings().target, settings().orientation = empty, "TARGET"
    return empty


def follow_path(path: bpy.types.Object, target: bpy.types.Object, n: int) -> np.ndarray:
    """(n, 4, 4) of a camera that Blender's constraints lead along the path."""
    camera = add("Follower", bpy.data.cameras.new("Follower"))
    path.data.use_path = True
    follow = camera.constraints.new("FOLLOW_PATH")
    follow.target, follow.use_fixed_location = path, True
    track = camera.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    poses = []
    for offset in np.linspace(0, 1, n):
        follow.offset_factor = offset
        bpy.context.view_layer.update()
        poses.append(np.array(camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world))
    return np.array(poses)


@pytest.mark.parametrize("kind", ["BEZIER", "POLY"])
def test_it_agrees_with_follow_path_and_track_to(kind: str) -> None:
    path = curve_of(kind, POINTS)
    target = target_at((0.5, 6, 1))
    np.testing.assert_allclose(sample(50), follow_path(path, target, 50), atol=1e-4)


def test_it_agrees_with_follow_path_when_the_path_is_moved_scaled_parented_and_bent() -> None:
    path = curve_of("BEZIER", POINTS)
    parent = add("Parent", None)
    parent.matrix_world = Matrix.LocRotScale(
        (0.3, 1, 0.2), Matrix.Rotation(0.4, 3, "X").to_quaternion(), (2, 2, 2)
    )
    path.parent = parent
    path.rotation_euler = (0.2, -0.3, 0.9)
    path.scale = (0.7, 0.7, 0.7)
    bend = path.modifiers.new("Bend", "SIMPLE_DEFORM")
    bend.deform_method, bend.angle, bend.deform_axis = "BEND", 0.6, "Z"
    bend.use_apply_on_spline = (
        True  # Follow Path does not see what modifiers do later; we follow what is displayed
    )
    target = target_at((0.5, 9, 1))
    np.testing.assert_allclose(sample(40), follow_path(path, target, 40), atol=1e-4)


def test_steps_are_equal_in_the_world_even_when_the_path_is_stretched() -> None:
    path = curve_of("BEZIER", POINTS)
    path.scale = (0.5, 0.7, 3)
    steps = np.linalg.norm(np.diff(sample(200)[:, :3, 3], axis=0), axis=1)
    assert steps.std() / steps.mean() < 5e-3


def test_nurbs_stay_on_the_curve_at_equal_steps() -> None:
    path = curve_of("NURBS", POINTS)
    poses = sample(200)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.std() / steps.mean() < 2e-3
    target = target_at((0.5, 6, 1))
    followed = follow_path(path, target, 200)
    np.testing.assert_allclose(poses[:, :3, 3], followed[:, :3, 3], atol=5e-3)
    np.testing.assert_allclose(poses[[0, -1], :3, 3], POINTS[[0, -1]], atol=1e-5)


def geometry_nodes_tilts(path: bpy.types.Object, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) positions and (n,) tilts that Blender's own geometry nodes find on the curve."""
    group = bpy.data.node_groups.new("tilts", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    new = group.nodes.new
    info, store, tilt = (
        new("GeometryNodeObjectInfo"),
        new("GeometryNodeStoreNamedAttribute"),
        new("GeometryNodeInputCurveTilt"),
    )
    points, vertices, output = (
        new("GeometryNodeCurveToPoints"),
        new("GeometryNodePointsToVertices"),
        new("NodeGroupOutput"),
    )
    info.transform_space = "RELATIVE"
    info.inputs["Object"].default_value = path
    store.data_type = "FLOAT"
    store.inputs["Name"].default_value = "_tilt"
    value = next(s for s in store.inputs if s.name == "Value" and s.enabled)
    points.inputs["Count"].default_value = n
    link = group.links.new
    link(info.outputs["Geometry"], store.inputs["Geometry"])
    link(tilt.outputs[0], value)
    link(store.outputs["Geometry"], points.inputs["Curve"])
    link(points.outputs["Points"], vertices.inputs["Points"])
    link(vertices.outputs["Mesh"], output.inputs[0])
    reader = add("Reader", bpy.data.meshes.new("Reader"))
    reader.modifiers.new("nodes", "NODES").node_group = group
    mesh = reader.evaluated_get(depsgraph()).data
    tilts = np.array([each.value for each in mesh.attributes["_tilt"].data])
    return np.array([vertex.co[:] for vertex in mesh.vertices]), tilts


@pytest.mark.parametrize("cyclic", [False, True])
def test_tilt_becomes_roll_as_geometry_nodes_interpolate_it(cyclic: bool) -> None:
    path = curve_of("BEZIER", POINTS, cyclic=cyclic)
    for knot, tilt in zip(path.data.splines[0].bezier_points, (0, 0.5, -0.4, 0.9, 0.2), strict=True):
        knot.tilt = tilt
    settings().orientation = "FORWARD"
    poses = sample(41)
    positions, tilts = geometry_nodes_tilts(path, 41)
    if cyclic:  # the nodes end one step before the beginning
        poses = sample(42)[:-1]
    np.testing.assert_allclose(poses[:, :3, 3], positions, atol=2e-3)
    np.testing.assert_allclose(np.arctan2(poses[:, 0, 1], poses[:, 2, 1]), tilts, atol=5e-3)
    np.testing.assert_allclose(-poses[:, :3, 2], np.repeat([[0, 1, 0]], 41, axis=0), atol=1e-6)


def test_a_closed_path_returns_to_its_first_pose() -> None:
    curve_of("BEZIER", POINTS, cyclic=True)
    settings().orientation = "TANGENT"
    poses = sample(100)
    np.testing.assert_allclose(poses[0], poses[-1], atol=1e-5)


def test_the_tangent_is_the_way_the_camera_goes() -> None:
    curve_of("BEZIER", POINTS)
    settings().orientation = "TANGENT"
    poses = sample(400)
    ways = np.diff(poses[:, :3, 3], axis=0)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    middles = -(poses[:-1, :3, 2] + poses[1:, :3, 2]) / 2
    assert np.einsum("ni,ni->n", ways, middles).min() > 0.995  # the chain has corners of 4 degrees


def test_a_path_with_thickness_is_followed_inside() -> None:
    path = curve_of("BEZIER", POINTS)
    thin = sample(30)
    path.data.bevel_depth = 0.1
    np.testing.assert_allclose(sample(30), thin, atol=1e-5)


def animated_camera() -> bpy.types.Object:
    camera = add("Flight", bpy.data.cameras.new("Flight"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 21
    for frame, x, turn, lens in ((1, 0.0, 0.0, 50.0), (21, 2.0, 0.5, 85.0)):
        camera.location, camera.rotation_euler = (x, 0, 1.6), (math.pi / 2, 0, turn)
        camera.data.lens = lens
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
        camera.data.keyframe_insert("lens", frame=frame)
    return camera


def test_an_animated_camera_is_read_over_the_frame_range_and_the_frame_restored() -> None:
    scene = bpy.context.scene
    camera = animated_camera()
    settings().object = camera
    scene.frame_set(7, subframe=0.25)
    poses, fovs = sample(41), sampling.fovs_along(scene, depsgraph(), 41)
    assert (scene.frame_current, scene.frame_subframe) == (7, 0.25)
    for i in (0, 13, 26, 40):
        scene.frame_set(1 + i // 2, subframe=0.5 * (i % 2))
        np.testing.assert_allclose(poses[i], np.array(camera.matrix_world), atol=1e-5)
    assert fovs is not None
    height = scene.render.resolution_y / scene.render.resolution_x * 36
    np.testing.assert_allclose(
        fovs[[0, -1]], [2 * math.degrees(math.atan(height / 2 / lens)) for lens in (50, 85)], rtol=1e-5
    )


def test_a_curve_can_take_its_directions_from_an_animated_object() -> None:
    camera = animated_camera()
    curve_of("BEZIER", POINTS)
    settings().orientation, settings().guide = "CAMERA", camera
    poses = sample(21)
    np.testing.assert_allclose(poses[0, :3, 3], POINTS[0], atol=1e-5)
    for i in (0, 9, 20):
        bpy.context.scene.frame_set(1 + i)
        np.testing.assert_allclose(poses[i, :3, :3], np.array(camera.matrix_world)[:3, :3], atol=1e-4)


def test_a_point_that_looks_along_a_curve_pans() -> None:
    curve_of("BEZIER", np.zeros((2, 3)))
    aim = bpy.data.objects.new("Aim", bpy.data.curves.new("Aim", "CURVE"))
    aim.data.dimensions = "3D"
    add_spline(aim.data, "POLY", np.array([[-1.0, 3, 0], [1, 3, 0]]))
    bpy.context.scene.collection.objects.link(aim)
    settings().target, settings().orientation = aim, "TARGET"
    poses = sample(11)
    assert not poses[:, :3, 3].any()
    np.testing.assert_allclose(-poses[[0, 5, 10], 0, 2], [-(0.1**0.5), 0, 0.1**0.5], atol=1e-6)
    assert len(json.loads(sampling.path_json(bpy.context.scene, depsgraph()))["poses"]) >= 61


def test_the_path_file_is_relative_to_where_the_scene_is_placed() -> None:
    scene = bpy.context.scene
    curve_of("BEZIER", POINTS)
    data = json.loads(sampling.path_json(scene, depsgraph()))
    views = np.array([pose["cam_T_world"] for pose in data["poses"]])
    assert data["version"] == 1 and 61 <= len(views) <= 241 and "fov_y_deg" not in data["poses"][0]
    back = matrix_world(views, sampling.scene_placement(scene))
    np.testing.assert_allclose(back, sample(len(views)), atol=1e-9)


def test_a_single_pose_is_the_first_one() -> None:
    curve_of("BEZIER", POINTS)
    np.testing.assert_allclose(sample(1)[0, :3, 3], POINTS[0], atol=1e-6)


def test_an_animated_lens_is_in_the_path_file() -> None:
    settings().object = animated_camera()
    poses = json.loads(sampling.path_json(bpy.context.scene, depsgraph()))["poses"]
    fovs = [pose["fov_y_deg"] for pose in poses]
    assert fovs[0] > fovs[-1] > 10


def two_splines() -> None:
    path = curve_of("POLY", POINTS)
    add_spline(path.data, "POLY", POINTS + 5)
    path.data.splines.active = None


def itself_as_target() -> None:
    settings().target, settings().orientation = curve_of("POLY", POINTS), "TARGET"


def no_target() -> None:
    curve_of("POLY", POINTS)
    settings().orientation = "TARGET"


def no_guide() -> None:
    curve_of("POLY", POINTS)
    settings().orientation = "CAMERA"


def through_the_target() -> None:
    curve_of("POLY", np.array([[0, 0, 0], [0, 2.0, 0]]))
    target_at((0, 1, 0))


def point_without_direction() -> None:
    curve_of("POLY", np.zeros((2, 3)))
    settings().orientation = "TANGENT"


def empty_curve() -> None:
    settings().object = add("Path", bpy.data.curves.new("Path", "CURVE"))


def deleted() -> None:
    bpy.context.scene.collection.objects.unlink(curve_of("POLY", POINTS))


def solid() -> None:
    curve_of("NURBS", POINTS).data.bevel_depth = 0.1


def panoramic() -> None:
    settings().object = animated_camera()
    settings().object.data.type = "ORTHO"


def squashed() -> None:
    settings().object = animated_camera()
    settings().object.scale = (0, 0, 0)


BROKEN = {
    two_splines: "2 splines",
    itself_as_target: "its own path",
    no_target: "nothing to look at",
    no_guide: "Turns Like",
    through_the_target: "At 50 % the path passes through its own target",
    point_without_direction: "no direction along it",
    empty_curve: "no points",
    deleted: "no camera path",
    solid: "is a surface",
    panoramic: "not a perspective camera",
    squashed: "mirrored, squashed",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__)
def test_what_cannot_be_followed_says_why_in_a_sentence(broken: object) -> None:
    broken()
    with pytest.raises(PathError, match=BROKEN[broken]) as caught:
        sampling.path_json(bpy.context.scene, depsgraph())
    assert "\n" not in str(caught.value)


def test_a_path_that_stands_still_is_no_path() -> None:
    curve_of("POLY", np.zeros((2, 3)))
    with pytest.raises(PathError, match="neither moves nor turns"):
        sampling.path_json(bpy.context.scene, depsgraph())
