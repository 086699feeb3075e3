"""Sky, sun and lamps."""

from __future__ import annotations

import math

import bpy
from mathutils import Euler, Vector

from .materials import add, arithmetic, blend, linear, noise, steps, times


def daylight(
    elevation: float,
    azimuth: float,
    clouds: float = 0.4,
    dark: float = 0.2,
    sun: float = 4.0,
    seed: float = 0.0,
) -> None:
    """A Nishita sky with painted clouds and a sun.

    Args:
        elevation, azimuth: of the sun, degrees; azimuth 0 is along +y, clockwise.
        clouds: share of the sky, 0 to 1. dark: how dark their undersides are, 0 to 1.
    """
    tree = _world()
    sky = add(
        tree,
        "TexSky",
        sky_type="NISHITA",
        sun_disc=False,
        sun_elevation=math.radians(elevation),
        sun_rotation=math.radians(azimuth),
    ).outputs[0]
    direction = add(tree, "TexCoord").outputs["Generated"]
    x, y, z = add(tree, "SeparateXYZ", {0: direction}).outputs
    up = arithmetic(tree, "ADD", arithmetic(tree, "MAXIMUM", z, 0.0), 0.12)
    flat = add(
        tree,
        "CombineXYZ",
        {0: arithmetic(tree, "DIVIDE", x, up), 1: arithmetic(tree, "DIVIDE", y, up), 2: seed},
    ).outputs[0]
    cover = steps(tree, noise(tree, 0.9, 9, flat, 0.3), 0.66 - 0.35 * clouds, 0.78 - 0.3 * clouds)
    cover = arithmetic(tree, "MULTIPLY", cover, steps(tree, z, 0.0, 0.1))
    body = noise(tree, 1.7, 7, flat)
    bright = times(linear("#fff4e6"), 0.5 + 0.6 * min(1, elevation / 25))
    shade = times(bright, 1 - dark)
    cloud = blend(tree, steps(tree, body, 0.35, 0.65), bright, shade)
    scaled = blend(tree, 0.9, sky, "#000000")
    _shine(tree, blend(tree, cover if clouds else 0.0, scaled, cloud), 1.0)
    lamp = _lamp("SUN", (0, 0, 50), "#ffe9cf" if elevation > 15 else "#ffb070", sun)
    lamp.data.angle = math.radians(0.6)
    a, e = math.radians(azimuth), math.radians(elevation)
    towards = Vector((math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)))
    lamp.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()


def dim(colour: str, strength: float) -> None:
    """The same light from everywhere."""
    _shine(_world(), linear(colour), strength)


def panel(at, to, size, colour: str, watts: float) -> None:
    """A rectangular light, invisible itself."""
    lamp = _lamp("AREA", at, colour, watts)
    lamp.data.shape, lamp.data.size, lamp.data.size_y = "RECTANGLE", *size
    lamp.rotation_euler = (Vector(to) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    lamp.visible_camera = False


def bulb(at, colour: str, watts: float, radius: float = 0.05) -> None:
    lamp = _lamp("POINT", at, colour, watts)
    lamp.data.shadow_soft_size = radius
    lamp.visible_camera = False


def _lamp(kind, at, colour, strength):
    data = bpy.data.lights.new("lamp", kind)
    data.color, data.energy = linear(colour)[:3], strength
    lamp = bpy.data.objects.new("lamp", data)
    lamp.location = at
    bpy.context.scene.collection.objects.link(lamp)
    return lamp


def _world():
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.cycles.sampling_method, world.cycles.sample_map_resolution = (
        "MANUAL",
        256,
    )  # automatic takes minutes
    world.node_tree.nodes.clear()
    return world.node_tree


def _shine(tree, colour, strength):
    background = add(tree, "Background", {"Color": colour, "Strength": strength})
    add(tree, "OutputWorld", {"Surface": background.outputs[0]})


def camera(scene, at, to, fov: float, roll: float, focus: tuple[float, float] | None) -> None:
    """Over `fov` degrees along the longer side; `focus` is (metres, f-stop) or None for all sharp."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.angle = "AUTO", math.radians(fov)
    data.clip_start, data.clip_end = 0.02, 1e5
    if focus:
        data.dof.use_dof, data.dof.focus_distance, data.dof.aperture_fstop = True, *focus
    made = bpy.data.objects.new("camera", data)
    made.location = at
    looking = (Vector(to) - Vector(at)).to_track_quat("-Z", "Y")
    made.rotation_euler = (looking @ Euler((0, 0, math.radians(roll))).to_quaternion()).to_euler()
    scene.collection.objects.link(made)
    scene.camera = made
