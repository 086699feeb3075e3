"""The splats that a dependency graph shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from splinescape.io.splat_arrays import SplatArrays

from ...splats import pointcloud
from .view import Matrix

_DISPLAY_MODIFIERS = "Splinescape "
"""How the names of the modifiers begin that the display modes add."""


@dataclass(frozen=True, eq=False)
class VisibleSplats:
    """One object, or one instance of it.

    Attributes:
        original: the object in the file. What an iterator over instances gives is gone after its step.
        depsgraph: what evaluates it.
        world_T_object: (4, 4) float64.
    """

    original: Any
    depsgraph: Any
    world_T_object: Matrix

    @property
    def name(self) -> str:
        """A name that tells objects of one file apart, those of libraries too."""
        return str(self.original.name_full)

    def read(self) -> SplatArrays:
        """The splats after the object's own modifiers; as stored, if these leave none (but instances, say).

        Modifiers of the display modes make something of the splats for other engines, and do not count.
        """
        if any(not each.name.startswith(_DISPLAY_MODIFIERS) for each in self.original.modifiers):
            evaluated = self.original.evaluated_get(self.depsgraph)
            if pointcloud.is_splats(evaluated) and len(evaluated.data.points):
                return pointcloud.read_splats(evaluated)
        return pointcloud.read_splats(self.original)


Wanted = Callable[[Any, Any], bool]
"""Whether to take splats: asked for their object, and for the object that shows them (itself, or its instancer)."""


def visible_splats(depsgraph: Any, wanted: Wanted = lambda *_: True) -> list[VisibleSplats]:
    """All splat objects that are shown, and instances of them by collections; `wanted` gets original objects."""
    return [*_objects(depsgraph, wanted), *_instances(depsgraph, wanted)]


def _objects(depsgraph: Any, wanted: Wanted) -> Iterator[VisibleSplats]:
    for evaluated in depsgraph.objects:
        original = evaluated.original
        if pointcloud.is_splats(original) and wanted(original, original):
            yield VisibleSplats(original, depsgraph, np.array(evaluated.matrix_world, np.float64))


def _instances(depsgraph: Any, wanted: Wanted) -> Iterator[VisibleSplats]:
    """Walks through all instances only if there is a collection that has any to offer: there may be millions."""
    if not any(_offers_splats(each) for each in depsgraph.objects):
        return
    for instance in depsgraph.object_instances:
        if not instance.is_instance:
            continue
        original = instance.object.original
        if pointcloud.is_splats(original) and wanted(original, instance.parent.original):
            yield VisibleSplats(original, depsgraph, np.array(instance.matrix_world, np.float64))


def _offers_splats(evaluated: Any) -> bool:
    if evaluated.instance_type != "COLLECTION" or evaluated.instance_collection is None:
        return False
    return any(pointcloud.is_splats(each.original) for each in evaluated.instance_collection.all_objects)
