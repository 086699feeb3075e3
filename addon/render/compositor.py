"""CG objects between splats: a compositor group that compares the depth of the render with that of the frames."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ..splats.pointcloud import is_splats
from . import versions
from .files import FrameFolder
from .plan import HIDDEN
from .sequence import follow_frames, load, span_of

NAME = "Splinescape Depth Composite"


@dataclass(frozen=True)
class CompositorSetup:
    """What became of it.

    Attributes:
        group: the node group. connected: whether the scene's picture passes through it.
        todo: what to connect by hand, "" when there is nothing to do.
    """

    group: bpy.types.NodeTree
    connected: bool
    todo: str


def setup_compositor(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, folder: FrameFolder
) -> CompositorSetup:
    """Composite the scene's render with the frames of `folder` by depth; done again, it brings it up to date.

    An existing tree stays as it is: the group goes into the link from Render Layers to the output where there is
    such a link, else it is added beside the rest. The render gets a transparent film and a depth pass.

    Raises:
        NoFramesError: there are no frames.
    """
    group = _group(scene, folder)
    scene.render.film_transparent = True
    scene.render.use_compositing = True
    view_layer.use_pass_z = True
    tree = _tree(scene)
    node = next((each for each in tree.nodes if getattr(each, "node_tree", None) == group), None)
    if node is None:
        node = tree.nodes.new("CompositorNodeGroup")
        node.node_tree = group
        node.width = 220
        _connect(scene, view_layer, tree, node)
    _hide_splats(scene)
    if not versions.compositor_in_use(scene):
        return CompositorSetup(
            group, False, "Switch on Use Nodes in the compositor, which holds nodes of yours"
        )
    if not _reaches_output(tree, node):
        todo = (
            f"Connect Image and Depth of Render Layers to {NAME}, and its Image to where the picture goes on"
        )
        return CompositorSetup(group, False, todo)
    return CompositorSetup(group, True, "")


def _tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's tree, made if need be. One that is switched off and holds the artist's nodes stays switched off."""
    tree = versions.compositor_tree(scene)
    if tree is not None and not versions.compositor_in_use(scene) and not _is_plain(tree):
        return tree
    return versions.compositor_tree(scene, make=True)


def _is_plain(tree: bpy.types.NodeTree) -> bool:
    """Whether it passes the render on unchanged: what Blender makes when nodes are switched on."""
    harmless = {"CompositorNodeRLayers", "CompositorNodeComposite", "CompositorNodeViewer", "NodeReroute"}
    return all(node.bl_idname in harmless for node in tree.nodes)


def _connect(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, tree: bpy.types.NodeTree, node: bpy.types.Node
) -> None:
    """Put the group between the render and the output, if nothing else is there; otherwise leave it unconnected."""
    output = versions.ensure_output_node(tree)
    entry = _behind_reroutes(output.inputs[0])
    if entry.links:
        layers = entry.links[0].from_node
        if layers.bl_idname != "CompositorNodeRLayers":
            node.location = output.location.x - 260, output.location.y - 300
            return
    else:
        layers = tree.nodes.new("CompositorNodeRLayers")
        layers.scene, layers.layer = scene, view_layer.name
        layers.location = output.location.x - 600, output.location.y
    node.location = output.location.x - 260, output.location.y
    tree.links.new(layers.outputs["Image"], node.inputs["Image"])
    tree.links.new(layers.outputs["Depth"], node.inputs["Depth"])
    tree.links.new(node.outputs["Image"], entry)


def _behind_reroutes(socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The input through which something first comes on its way to `socket`."""
    while socket.links and socket.links[0].from_node.bl_idname == "NodeReroute":
        socket = socket.links[0].from_node.inputs[0]
    return socket


def _reaches_output(tree: bpy.types.NodeTree, node: bpy.types.Node) -> bool:
    """Whether both inputs are connected and something leads from the group to the output."""
    output = versions.output_node(tree)
    if output is None or not all(node.inputs[name].is_linked for name in ("Image", "Depth")):
        return False
    reached, ahead = set(), [node]
    while ahead:
        each = ahead.pop()
        if each.name not in reached:
            reached.add(each.name)
            ahead += [link.to_node for link in tree.links if link.from_node == each]
    return output.name in reached


def _hide_splats(scene: bpy.types.Scene) -> None:
    """The frames show the splats: rendered themselves they would be there twice."""
    for each in scene.objects:
        if is_splats(each) and not each.hide_render:
            each.hide_render = True
            each[HIDDEN] = True


def _group(scene: bpy.types.Scene, folder: FrameFolder) -> bpy.types.NodeTree:
    """The scene's group, with the frames that are in the folder now."""
    span = span_of(scene, folder)
    images = {"rgb": load(scene, folder, "rgb"), "depth": load(scene, folder, "depth")}
    settings = scene.splinescape.render
    group = settings.composite
    if group is None or not all(name in group.nodes for name in images):
        group = settings.composite = group or bpy.data.node_groups.new(NAME, "CompositorNodeTree")
        _fill(group)
    for name, image in images.items():
        node = group.nodes[name]
        node.image = image
        follow_frames(node, span)
    return group


def _fill(group: bpy.types.NodeTree) -> None:
    """Build the group: what is nearer covers what is farther, with smooth edges.

    Not with Blender's Depth Combine: from 4.5 on it darkens the smooth edges of what is transparent.
    """
    group.nodes.clear()
    group.interface.clear()
    interface, link = group.interface, group.links.new
    interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    interface.new_socket("Depth", in_out="INPUT", socket_type="NodeSocketFloat")
    interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    interface.new_socket("Depth", in_out="OUTPUT", socket_type="NodeSocketFloat")
    source = _add(group, "NodeGroupInput", 0, 0)
    result = _add(group, "NodeGroupOutput", 1650, 0)
    rgb, depth = (_frames(group, name, y) for name, y in (("rgb", -250), ("depth", -600)))
    near = _edge_depth(group, source)
    is_nearer = _math(group, "LESS_THAN", 1000, 0)
    smooth = _add(group, "CompositorNodeAntiAliasing", 1150, 0)
    seen = _add(group, "CompositorNodeSetAlpha", 1300, 200)
    versions.set_option(seen, "mode", "Type", "APPLY", "Apply Mask")
    over, background, foreground = versions.alpha_over(group)
    over.location = 1450, 0
    least = _math(group, "MINIMUM", 1450, -200)
    link(near, is_nearer.inputs[0])
    link(depth, is_nearer.inputs[1])
    link(is_nearer.outputs[0], smooth.inputs[0])
    link(source.outputs["Image"], seen.inputs["Image"])
    link(smooth.outputs[0], seen.inputs["Alpha"])
    link(rgb, background)
    link(seen.outputs[0], foreground)
    link(near, least.inputs[0])
    link(depth, least.inputs[1])
    link(over.outputs[0], result.inputs["Image"])
    link(least.outputs[0], result.inputs["Depth"])


def _frames(group: bpy.types.NodeTree, name: str, y: float) -> bpy.types.NodeSocket:
    """An image node for a sequence, stretched to the size of the render."""
    node = _add(group, "CompositorNodeImage", 0, y)
    node.name = name
    scale = _add(group, "CompositorNodeScale", 250, y)
    versions.set_option(scale, "space", "Type", "RENDER_SIZE", "Render Size")
    versions.set_option(scale, "frame_method", "Frame Type", "STRETCH", "Stretch")
    group.links.new(node.outputs["Image"], scale.inputs["Image"])
    return scale.outputs["Image"]


def _edge_depth(group: bpy.types.NodeTree, source: bpy.types.Node) -> bpy.types.NodeSocket:
    """The render's depth, and where an object only covers part of a pixel, the nearest depth around it.

    A depth pass has one depth for each pixel: at a smooth edge that is that of the background as often as not.
    """
    link = group.links.new
    separate = _add(group, "CompositorNodeSeparateColor", 200, 200)
    opaque = _math(group, "GREATER_THAN", 400, 200)
    nearest = _add(group, "CompositorNodeDilateErode", 200, 0)
    beyond = _math(group, "SUBTRACT", 600, 0)
    chosen = _math(group, "MULTIPLY_ADD", 800, 0)
    versions.set_option(nearest, "mode", "Type", "STEP", "Steps")
    versions.set_option(nearest, "distance", "Size", -1)
    opaque.inputs[1].default_value = 0.999
    link(source.outputs["Image"], separate.inputs[0])
    link(separate.outputs["Alpha"], opaque.inputs[0])
    link(source.outputs["Depth"], nearest.inputs[0])
    link(source.outputs["Depth"], beyond.inputs[0])
    link(nearest.outputs[0], beyond.inputs[1])
    link(opaque.outputs[0], chosen.inputs[0])
    link(beyond.outputs[0], chosen.inputs[1])
    link(nearest.outputs[0], chosen.inputs[2])
    return chosen.outputs[0]


def _math(group: bpy.types.NodeTree, operation: str, x: float, y: float) -> bpy.types.Node:
    node = versions.math_node(group, operation)
    node.location = x, y
    return node


def _add(group: bpy.types.NodeTree, kind: str, x: float, y: float) -> bpy.types.Node:
    node = group.nodes.new(kind)
    node.location = x, y
    return node
