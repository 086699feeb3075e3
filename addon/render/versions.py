"""What differs between Blender's versions for rendering: the compositor's tree, picture formats, keyframes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

_TREE_IS_A_GROUP = "compositing_node_group" in bpy.types.Scene.bl_rna.properties
_OUTPUT = "NodeGroupOutput" if _TREE_IS_A_GROUP else "CompositorNodeComposite"


RELATIVE_PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""Options of a path property that may begin with //: without it, newer versions show such a path as wrong."""


def compositor_tree(scene: bpy.types.Scene, make: bool = False) -> bpy.types.NodeTree | None:
    """The node tree that the scene is composited with, which is switched on or made if asked for.

    Until 4.x a tree belongs to the scene; from 5.0 on it is a node group of the file.
    """
    if _TREE_IS_A_GROUP:
        tree = scene.compositing_node_group
        if tree is None and make:
            tree = bpy.data.node_groups.new(f"{scene.name} Compositing", "CompositorNodeTree")
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            scene.compositing_node_group = tree
        return tree
    if make:
        scene.use_nodes = True
    return scene.node_tree


def compositor_in_use(scene: bpy.types.Scene) -> bool:
    """Whether the tree takes part in rendering."""
    if _TREE_IS_A_GROUP:
        return scene.compositing_node_group is not None
    return bool(scene.use_nodes) and scene.node_tree is not None


def output_node(tree: bpy.types.NodeTree) -> bpy.types.Node | None:
    """The node whose first input is the finished picture; None when there is none."""
    found = [node for node in tree.nodes if node.bl_idname == _OUTPUT]
    found.sort(key=lambda node: not getattr(node, "is_active_output", False))
    return found[0] if found else None


def ensure_output_node(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """The same, made if need be."""
    return output_node(tree) or tree.nodes.new(_OUTPUT)


def math_node(tree: bpy.types.NodeTree, operation: str) -> bpy.types.Node:
    """A node that calculates with numbers."""
    node = tree.nodes.new("ShaderNodeMath" if _TREE_IS_A_GROUP else "CompositorNodeMath")
    node.operation = operation
    return node


def alpha_over(tree: bpy.types.NodeTree) -> tuple[bpy.types.Node, bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """A node that lays one picture over another, and its inputs for the lower and the upper one."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    if "Background" in node.inputs:
        return node, node.inputs["Background"], node.inputs["Foreground"]
    return node, node.inputs[1], node.inputs[2]


def set_option(node: bpy.types.Node, prop: str, socket: str, value: object, menu: str | None = None) -> None:
    """Set an option of a compositor node that is a property in older versions and an input in newer ones.

    Args:
        prop, value: the property and its value. socket: the input's name.
        menu: the input's value where it is a menu, which goes by names for people.
    """
    if socket in node.inputs:
        node.inputs[socket].default_value = value if menu is None else menu
    else:
        setattr(node, prop, value)


def set_exr_output(settings: bpy.types.ImageFormatSettings) -> None:
    """Have a render be saved as one multilayer file with all passes, of the kind that `exr.read_exr` reads."""
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "NONE"
    if hasattr(settings, "use_exr_interleave"):
        settings.use_exr_interleave = True


def set_movie_output(render: bpy.types.RenderSettings) -> None:
    """Have an animation be saved as MP4 with H.264."""
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    render.ffmpeg.audio_codec = "NONE"


def strips_of(editor: bpy.types.SequenceEditor) -> Any:
    """The strips of a sequencer: `strips` since 4.4, `sequences` before."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def fcurves(owner: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The animation curves of a datablock; none when it has no action."""
    return [curve for curves in _curves(owner) for curve in curves]


def remove_fcurves(owner: bpy.types.ID, is_wanted: Callable[[bpy.types.FCurve], bool]) -> None:
    """Take some of the animation curves of a datablock away."""
    for curves in _curves(owner):
        for curve in [each for each in curves if is_wanted(each)]:
            curves.remove(curve)


def _curves(owner: bpy.types.ID) -> list[Any]:
    """Where the animation curves of a datablock are.

    Until 4.3 they are the action's; later those of the channel bag of the slot that the datablock uses.
    """
    data = owner.animation_data
    if data is None or data.action is None:
        return []
    slot = getattr(data, "action_slot", None)
    if slot is None or not hasattr(data.action, "layers"):
        return [data.action.fcurves] if hasattr(data.action, "fcurves") else []
    bags = [
        strip.channelbag(slot)
        for layer in data.action.layers
        for strip in layer.strips
        if hasattr(strip, "channelbag")
    ]
    return [bag.fcurves for bag in bags if bag is not None]
