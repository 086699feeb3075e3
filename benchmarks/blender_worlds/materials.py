"""Materials out of shader nodes: patterns in metres of the object's own coordinates, linear colours from "#rrggbb"."""

from __future__ import annotations

import bpy

Colour = str


def linear(colour: Colour) -> tuple[float, float, float, float]:
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v < 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return (r, g, b, 1.0)


def times(colour, factor: float) -> tuple[float, float, float, float]:
    r, g, b = (min(1.0, c * factor) for c in colour[:3])
    return (r, g, b, 1.0)


def add(tree, kind: str, inputs: dict | None = None, **settings):
    """A node; sockets among the inputs are linked, other values set, "#rrggbb" read as a colour."""
    node = tree.nodes.new("ShaderNode" + kind)
    for name, value in settings.items():
        setattr(node, name, value)
    for key, value in (inputs or {}).items():
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, node.inputs[key])
        else:
            node.inputs[key].default_value = linear(value) if isinstance(value, str) else value
    return node


def arithmetic(tree, operation: str, *values):
    return add(tree, "Math", dict(enumerate(values)), operation=operation).outputs[0]


def blend(tree, factor, a, b):
    """Colour between a and b."""
    node = add(tree, "Mix", data_type="RGBA")
    for socket, value in ((node.inputs[0], factor), (node.inputs[6], a), (node.inputs[7], b)):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        else:
            socket.default_value = linear(value) if isinstance(value, str) else value
    return node.outputs[2]


def steps(tree, value, low: float, high: float):
    """0 below `low`, 1 above `high`, smooth between."""
    inputs = {"Value": value, "From Min": low, "From Max": high}
    return add(tree, "MapRange", inputs, interpolation_type="SMOOTHSTEP").outputs[0]


def here(tree, upright: bool = False, stretch=(1, 1, 1)):
    """The object's own coordinates; `upright` lays (x + y, z) in the plane of patterns, for walls."""
    where = add(tree, "TexCoord").outputs["Object"]
    if upright:
        parts = add(tree, "SeparateXYZ", {0: where}).outputs
        where = add(
            tree, "CombineXYZ", {0: arithmetic(tree, "ADD", parts[0], parts[1]), 1: parts[2]}
        ).outputs[0]
    return add(tree, "Mapping", {"Vector": where, "Scale": stretch}).outputs[0]


def noise(tree, scale: float, detail: float = 5, where=None, distortion: float = 0.0):
    inputs = {"Vector": where or here(tree), "Scale": scale, "Detail": detail, "Distortion": distortion}
    return add(tree, "TexNoise", inputs).outputs["Fac"]


def _start():
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material, material.node_tree


def _finish(material, tree, colour, rough=0.6, bump=None, bump_by=0.01, **inputs):
    shader = {"Base Color": colour, "Roughness": rough, **inputs}
    if bump is not None:
        shader["Normal"] = add(tree, "Bump", {"Height": bump, "Distance": bump_by}).outputs[0]
    bsdf = add(tree, "BsdfPrincipled", shader)
    add(tree, "OutputMaterial", {"Surface": bsdf.outputs[0]})
    return material


def plain(colour: Colour, rough=0.5, metal=0.0, grain=0.12, scale=30.0, **inputs):
    """One colour, faintly uneven."""
    material, tree = _start()
    spots = noise(tree, scale)
    dark, light = times(linear(colour), 1 - 2 * grain), times(linear(colour), 1 + 2 * grain)
    return _finish(
        material, tree, blend(tree, spots, dark, light), rough, spots, 0.002, Metallic=metal, **inputs
    )


def spotted(a: Colour, b: Colour, scale=6.0, rough=0.8, low=0.4, high=0.6, bump=0.02, **inputs):
    """Two colours in irregular spots: soil, plaster, stone, moss."""
    material, tree = _start()
    spots = noise(tree, scale, 8)
    return _finish(
        material, tree, blend(tree, steps(tree, spots, low, high), a, b), rough, spots, bump, **inputs
    )


def wood(a: Colour, b: Colour, along=(1, 12, 12), scale=1.0, rough=0.45, planks: float = 0.0):
    """Grain along the axis whose stretch is small; `planks` metres wide, along x."""
    material, tree = _start()
    where = here(tree, stretch=along)
    lines = noise(tree, 2.5 * scale, 6, where, 1.2)
    wave = add(
        tree, "TexWave", {"Vector": where, "Scale": 0.7 * scale, "Distortion": 8, "Detail": 3}
    ).outputs[1]
    colour = blend(tree, blend_factor(tree, lines, wave), a, b)
    if planks:
        inputs = {
            "Vector": here(tree),
            "Color1": "#ffffff",
            "Color2": "#b9b0a8",
            "Mortar": "#2a211b",
            "Scale": 1.0,
            "Mortar Size": 0.003,
            "Brick Width": planks * 9,
            "Row Height": planks,
        }
        boards = add(tree, "TexBrick", inputs).outputs["Color"]
        node = add(tree, "Mix", data_type="RGBA", blend_type="MULTIPLY")
        node.inputs[0].default_value = 1.0
        tree.links.new(colour, node.inputs[6])
        tree.links.new(boards, node.inputs[7])
        colour = node.outputs[2]
    return _finish(material, tree, colour, rough, lines, 0.003)


def blend_factor(tree, a, b):
    return arithmetic(tree, "MULTIPLY", arithmetic(tree, "ADD", a, b), 0.5)


def brick(
    a: Colour, b: Colour, mortar: Colour, size=(0.24, 0.075), upright=True, offset=0.5, rough=0.85, gap=0.012
):
    """Bricks or, with `offset` 0, tiles; on walls or, not `upright`, on floors."""
    material, tree = _start()
    where = here(tree, upright)
    inputs = {
        "Vector": where,
        "Color1": a,
        "Color2": b,
        "Mortar": mortar,
        "Scale": 1.0,
        "Mortar Size": gap,
        "Brick Width": size[0],
        "Row Height": size[1],
    }
    node = add(tree, "TexBrick", inputs, offset=offset)
    dirt = noise(tree, 3.0, 8)
    colour = blend(tree, arithmetic(tree, "MULTIPLY", dirt, 0.35), node.outputs["Color"], "#3a3026")
    groove = arithmetic(tree, "SUBTRACT", 1.0, node.outputs["Fac"])
    return _finish(material, tree, colour, rough, groove, 0.006)


def fabric(a: Colour, b: Colour, scale=160.0, rough=0.9, checks: float = 0.0):
    """Woven threads; with `checks` also a chequered pattern of that many per metre."""
    material, tree = _start()
    where = here(tree)
    warp = add(tree, "TexWave", {"Vector": where, "Scale": scale}, bands_direction="X").outputs[1]
    weft = add(tree, "TexWave", {"Vector": where, "Scale": scale}, bands_direction="Z").outputs[1]
    weave = arithmetic(tree, "MULTIPLY", warp, weft)
    factor = noise(tree, 7.0)
    if checks:
        factor = add(tree, "TexChecker", {"Vector": where, "Scale": checks}).outputs["Fac"]
    return _finish(material, tree, blend(tree, factor, a, b), rough, weave, 0.004, **{"Sheen Weight": 0.4})


def stripes(a: Colour, b: Colour, scale: float, direction="X", rough=0.7, **inputs):
    material, tree = _start()
    bands = add(
        tree, "TexWave", {"Vector": here(tree), "Scale": scale, "Distortion": 0.3}, bands_direction=direction
    ).outputs[1]
    return _finish(material, tree, blend(tree, steps(tree, bands, 0.45, 0.55), a, b), rough, **inputs)


def carpet(a: Colour, b: Colour, ornament: float = 0.0):
    """Short pile; `ornament` cells per metre of a regular motif."""
    material, tree = _start()
    where = here(tree)
    pile = noise(tree, 220.0, 2, where)
    factor = noise(tree, 2.0)
    if ornament:
        cells = add(
            tree, "TexVoronoi", {"Vector": where, "Scale": ornament, "Randomness": 0.0}, distance="MANHATTAN"
        ).outputs["Distance"]
        factor = arithmetic(
            tree, "GREATER_THAN", arithmetic(tree, "SINE", arithmetic(tree, "MULTIPLY", cells, 16)), 0
        )
    return _finish(material, tree, blend(tree, factor, a, b), 1.0, pile, 0.02, **{"Sheen Weight": 0.3})


def marble(a: Colour, b: Colour, scale=3.0, rough=0.15):
    material, tree = _start()
    veins = noise(tree, scale, 10, None, 2.5)
    colour = blend(tree, steps(tree, veins, 0.46, 0.53), a, b)
    return _finish(material, tree, blend(tree, steps(tree, veins, 0.53, 0.6), colour, a), rough)


def metal(colour: Colour = "#b8b8ba", rough=0.25):
    return plain(colour, rough, 1.0, 0.05)


def glass(colour: Colour = "#eaf4f2", rough=0.0):
    return plain(colour, rough, 0.0, 0.0, **{"Transmission Weight": 1.0, "IOR": 1.45})


def pane():
    """A window as seen from outside: dark, mirroring."""
    return plain("#20272c", 0.04, 0.0, 0.05, 2.0, **{"Specular IOR Level": 1.0})


def mirror():
    return plain("#e8ecec", 0.01, 1.0, 0.0)


def leaf(a: Colour, b: Colour):
    """Leaves let light through; each has its own shade."""
    material, tree = _start()
    shade = add(tree, "NewGeometry").outputs["Random Per Island"]
    colour = blend(tree, shade, a, b)
    front = add(tree, "BsdfPrincipled", {"Base Color": colour, "Roughness": 0.5})
    back = add(tree, "BsdfTranslucent", {"Color": colour})
    both = add(tree, "MixShader", {0: 0.35, 1: front.outputs[0], 2: back.outputs[0]})
    add(tree, "OutputMaterial", {"Surface": both.outputs[0]})
    return material


def water(colour: Colour = "#12313a", scale=1.2, waves=0.08):
    material, tree = _start()
    height = noise(tree, scale, 6, here(tree, stretch=(1, 2.2, 1)))
    return _finish(material, tree, linear(colour), 0.04, height, waves, **{"Specular IOR Level": 0.7})


def glow(colour: Colour, strength: float):
    material, tree = _start()
    light = add(tree, "Emission", {"Color": colour, "Strength": strength})
    add(tree, "OutputMaterial", {"Surface": light.outputs[0]})
    return material


def blind(bright: Colour, dark: Colour, per_metre: float, strength: float):
    """A pleated blind with daylight behind it, its folds level."""
    material, tree = _start()
    folds = add(
        tree, "TexWave", {"Vector": here(tree), "Scale": per_metre / 6.28}, bands_direction="Z"
    ).outputs[1]
    colour = blend(tree, folds, dark, bright)
    light = add(tree, "Emission", {"Color": colour, "Strength": strength})
    add(tree, "OutputMaterial", {"Surface": light.outputs[0]})
    return material


def slope(flat: Colour, steep: Colour, top: Colour, top_from: float, top_to: float, scale=0.02):
    """Ground by its slope, and another colour above a height (metres): rock, grass and snow."""
    material, tree = _start()
    geometry = add(tree, "NewGeometry").outputs
    up = add(tree, "SeparateXYZ", {0: geometry["Normal"]}).outputs[2]
    height = add(tree, "SeparateXYZ", {0: geometry["Position"]}).outputs[2]
    spots = noise(tree, scale, 12)
    uneven = arithmetic(
        tree, "ADD", up, arithmetic(tree, "MULTIPLY", arithmetic(tree, "SUBTRACT", spots, 0.5), 0.5)
    )
    rock = blend(tree, spots, steep, "#2c2824")
    ground = blend(tree, steps(tree, uneven, 0.62, 0.82), rock, flat)
    level = arithmetic(
        tree, "ADD", height, arithmetic(tree, "MULTIPLY", arithmetic(tree, "SUBTRACT", spots, 0.5), top_to)
    )
    covered = arithmetic(
        tree, "MULTIPLY", steps(tree, level, top_from, top_to), steps(tree, uneven, 0.5, 0.65)
    )
    return _finish(material, tree, blend(tree, covered, ground, top), 0.9, spots, 1.0)
