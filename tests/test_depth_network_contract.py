"""The depth network keeps what every depth engine promises, whatever its weights say."""

from __future__ import annotations

import pytest
from network_support import random_engine
from test_depth_engines_contract import (  # noqa: F401  # collected here with the engine below
    test_given_intrinsics_come_back_unchanged,
    test_it_has_a_name_and_a_label,
    test_normals_face_the_camera,
    test_pictures_of_one_colour,
    test_pictures_that_lie_otherwise_in_memory,
    test_the_pipeline_takes_the_answer,
    test_the_same_picture_has_the_same_depth,
    test_what_was_asked_before_does_not_matter,
    test_without_intrinsics,
)

from splinescape.depth.network.estimator import NetworkDepth


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> NetworkDepth:
    return random_engine(tmp_path_factory.mktemp("weights"))
