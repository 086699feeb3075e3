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
        evaluated: what the dependency graph made of the object.
        world_T_object: (4, 4) float64.
    """

    evaluated: Any
    world_T_object: Matrix

    @property
    def name(self) -> str:
        """A name that tells objects of one file apart, those of libraries too."""
        return str(self.evaluated.original.name_full)

    def read(self) -> SplatArrays:
        """The splats after the object's own modifiers; as stored, if these leave none (but instances, say).

        Modifiers of the display modes make something of the splats for other engines, and do not count.
        """
        original = self.evaluated.original
        changed = any(not each.name.startswith(_DISPLAY_MODIFIERS) for each in original.modifiers)
        left = changed and pointcloud.is_splats(self.evaluated) and len(self.evaluated.data.points)
        return pointcloud.read_splats(self.evaluated if left else original)


def visible_splats(depsgraph: Any, wanted: Callable[[Any], bool] = lambda _: True) -> list[VisibleSplats]:
    """All splat objects that are shown, and instances of them by collections.

    Args:
        wanted: whether to take an original object; asked for the object that makes them when it is instances.
    """
    return [*_objects(depsgraph, wanted), *_instances(depsgraph, wanted)]


def _objects(depsgraph: Any, wanted: Callable[[Any], bool]) -> Iterator[VisibleSplats]:
    for evaluated in depsgraph.objects:
        if _holds_splats(evaluated) and wanted(evaluated.original):
            yield VisibleSplats(evaluated, np.array(evaluated.matrix_world, np.float64))


def _instances(depsgraph: Any, wanted: Callable[[Any], bool]) -> Iterator[VisibleSplats]:
    """Walks through all instances only if there is a collection that has any to offer: there may be millions."""
    if not any(_offers_splats(each) for each in depsgraph.objects):
        return
    for instance in depsgraph.object_instances:
        if instance.is_instance and _holds_splats(instance.object) and wanted(instance.parent.original):
            yield VisibleSplats(instance.object, np.array(instance.matrix_world, np.float64))


def _offers_splats(evaluated: Any) -> bool:
    if evaluated.instance_type != "COLLECTION" or evaluated.instance_collection is None:
        return False
    return any(_holds_splats(each) for each in evaluated.instance_collection.all_objects)


def _holds_splats(candidate: Any) -> bool:
    return pointcloud.is_splats(candidate.original)
