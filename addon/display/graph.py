"""Building node trees in few words: a call makes a node, links its inputs and gives its output."""

from __future__ import annotations

from typing import Any

import bpy

Value = Any
"""What an input takes: the output of another node, or a plain number, vector, text or data-block."""


class Graph:
    """A node tree under construction."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree

    def add(self, kind: str, *inputs: Value, **settings: Any) -> bpy.types.Node:
        """A node of type `kind` with its `settings`; `inputs` go to its enabled sockets in order.

        An input that is None keeps the node's own value.
        """
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        sockets = [each for each in node.inputs if each.enabled]
        for socket, value in zip(sockets, inputs, strict=False):
            self.connect(socket, value)
        return node

    def out(self, kind: str, *inputs: Value, **settings: Any) -> bpy.types.NodeSocket:
        """The first enabled output of such a node."""
        return first_output(self.add(kind, *inputs, **settings))

    def connect(self, socket: bpy.types.NodeSocket, value: Value) -> None:
        """Link `value` to an input, or make it the input's own value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif value is not None:
            socket.default_value = value

    def math(self, operation: str, *inputs: Value) -> bpy.types.NodeSocket:
        return self.out("ShaderNodeMath", *inputs, operation=operation)

    def vector(self, operation: str, *inputs: Value) -> bpy.types.NodeSocket:
        """A vector operation; its result is a vector or a number, whichever the operation has."""
        return self.out("ShaderNodeVectorMath", *inputs, operation=operation)


def first_output(node: bpy.types.Node) -> bpy.types.NodeSocket:
    return next(each for each in node.outputs if each.enabled)
