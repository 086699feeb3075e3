"""Settings: the documented defaults, ranges that are said when they are broken, nothing silently ignored."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from splinescape import SceneConfig

DEFAULTS = {
    "stage": "no-outpaint",
    "expansion_percent": 0.3,
    "n_frames": 10,
    "max_resolution": 512,
    "num_steps": 25,
    "guidance": 30.0,
    "prompt": "",
    "model_memory": "auto",
    "seed": 0,
    "coarse_dense_multiplier": 10,
    "coarse_margin": 32,
    "coarse_min_inpaint_ratio": 0.05,
    "coarse_max_inpaint_ratio": 0.25,
    "coarse_adjacent_exclusion": 1,
    "coarse_fallback_mode": "none",
    "coarse_print_summary": True,
    "traj_type": "spiral",
    "traj_forward_ratio": 0.3,
    "traj_backward_ratio": 0.4,
    "traj_min_percentage": 5,
    "traj_max_percentage": 50,
}

WRONG = {
    "stage": ["medium", "", None, 3],
    "expansion_percent": [-0.1, 2.1, float("nan"), float("inf"), "wide"],
    "n_frames": [1, 0, -3, 201, 2.5, "many"],
    "max_resolution": [31, 0, -512, 8193, 100.5],
    "num_steps": [0, -1, 1001, 1.5],
    "guidance": [-1, 1001, float("nan"), float("inf")],
    "prompt": ["x" * 4001, 7, None],
    "model_memory": ["fp8", "", None, 8],
    "seed": [-1, 2**63, 0.5, "abc"],
    "coarse_dense_multiplier": [0, -1, 1001],
    "coarse_margin": [-1, 1025, 0.5],
    "coarse_min_inpaint_ratio": [-0.01, 1.01, float("nan")],
    "coarse_max_inpaint_ratio": [-0.01, 1.01, float("nan")],
    "coarse_adjacent_exclusion": [-1, 100001],
    "coarse_fallback_mode": ["farthest", None],
    "coarse_print_summary": ["perhaps", None],
    "traj_type": ["circle", None],
    "traj_forward_ratio": [-0.1, 101, float("inf")],
    "traj_backward_ratio": [-0.1, 101, float("nan")],
    "traj_min_percentage": [-1, 101],
    "traj_max_percentage": [-1, 101],
}


def test_the_defaults_are_the_documented_ones():
    assert SceneConfig().model_dump() == DEFAULTS


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValidationError) as error:
        SceneConfig(**{name: value})
    assert name in str(error.value)


def test_every_setting_is_checked():
    assert set(WRONG) == set(SceneConfig.model_fields) == set(DEFAULTS)


@pytest.mark.parametrize(
    "settings",
    [
        {"coarse_min_inpaint_ratio": 0.5, "coarse_max_inpaint_ratio": 0.4},
        {"traj_min_percentage": 50, "traj_max_percentage": 50},
        {"traj_min_percentage": 60},
    ],
)
def test_ranges_the_wrong_way_round_are_refused_by_name(settings):
    with pytest.raises(ValidationError) as error:
        SceneConfig(**settings)
    for name in settings:
        assert name in str(error.value)


def test_an_unknown_setting_is_refused_not_ignored():
    with pytest.raises(ValidationError, match="n_frame"):
        SceneConfig(n_frame=3)


def test_settings_do_not_change_after_they_were_checked():
    with pytest.raises(ValidationError, match="frozen"):
        SceneConfig().n_frames = 3


def test_settings_survive_json():
    config = SceneConfig(seed=2**62, prompt="Wiese, Gänseblümchen\n", guidance=0.1, stage="fine")
    assert SceneConfig.model_validate_json(config.model_dump_json()) == config
