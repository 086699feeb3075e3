"""Blender's own Apply moves the points of a splat object but not the splats' shapes; this moves all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from mathutils import Matrix

from .pointcloud import read_splats, replace_splats
from .transform import same_matrix, transformed


def apply_transform(applied: Any) -> None:
    """Move an object's location, rotation and scale into its splats; the scene looks the same, children too.

    Raises:
        ValueError: the object holds no splats, or its scale is zero; nothing was changed.
        RuntimeError: the object is being edited or may not be changed.
    """
    matrix = np.array(applied.matrix_basis, np.float64)
    if same_matrix(matrix, np.eye(4)):
        return
    replace_splats(applied, transformed(read_splats(applied), matrix))
    before = Matrix(applied.matrix_basis)
    applied.matrix_basis = Matrix()
    for child in applied.children:
        if child.parent_type == "OBJECT":  # what follows points stays with them
            child.matrix_parent_inverse = before @ child.matrix_parent_inverse
