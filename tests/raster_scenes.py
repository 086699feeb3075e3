"""Small splat scenes, ordinary and degenerate, that the rasteriser tests share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

Params = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """Splats (means, quats, scales, opacities, colours) and the camera that looks at them."""

    params: Params
    cam_T_world: Tensor
    K_33: Tensor
    width: int
    height: int

    def with_params(self, **changed: Tensor) -> Case:
        names = ("means", "quats", "scales", "opacities", "colors")
        old = dict(zip(names, self.params, strict=True))
        return replace(self, params=tuple(changed.get(name, old[name]) for name in names))  # type: ignore[arg-type]


def rotation(x: float, y: float, z: float) -> Tensor:
    return torch.matrix_exp(torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]))


def random_case(seed: int = 0, n: int = 200, size: float = 0.1, width: int = 41, height: int = 37) -> Case:
    """A cloud of splats about 3 in front of a turned, shifted camera with unequal focal lengths."""
    rng = torch.Generator().manual_seed(seed)
    means = torch.randn(n, 3, generator=rng) * 0.6 + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.randn(n, 4, generator=rng)
    scales = torch.rand(n, 3, generator=rng) * size + 0.005
    opacities = torch.rand(n, generator=rng) * 0.96 + 0.02
    colors = torch.rand(n, 3, generator=rng)
    view = torch.eye(4)
    view[:3, :3] = rotation(0.1, -0.15, 0.2)
    view[:3, 3] = torch.tensor([0.1, -0.2, 0.3])
    K = torch.tensor([[38.0, 0.0, width * 0.53], [0.0, 41.0, height * 0.47], [0.0, 0.0, 1.0]])
    return Case((means, quats, scales, opacities, colors), view, K, width, height)


def _with_depths(case: Case, z: Tensor) -> Case:
    """Move the splats along the camera's axis to camera depths z."""
    means = case.params[0]
    world_T_cam = torch.linalg.inv(case.cam_T_world)
    camera = means @ case.cam_T_world[:3, :3].T + case.cam_T_world[:3, 3]
    camera = torch.stack([camera[:, 0] / camera[:, 2] * z, camera[:, 1] / camera[:, 2] * z, z], 1)
    return case.with_params(means=camera @ world_T_cam[:3, :3].T + world_T_cam[:3, 3])


def degenerate_cases() -> dict[str, Case]:
    """Scenes by name that have broken rasterisers before."""
    base = random_case(n=60)
    means, quats, scales, _, colors = base.params
    n = len(means)
    needles = torch.tensor([2.0, 0.002, 0.002]).expand(n, 3).clone()
    plates = torch.tensor([0.6, 0.6, 1e-4]).expand(n, 3).clone()
    edge_on = torch.tensor([0.7071, 0.7071, 0.0, 0.0]).expand(n, 4).clone()
    empty = tuple(t[:0] for t in base.params)
    tied = means.clone()
    tied[:, 2] = 2.0
    straight = replace(base, cam_T_world=torch.eye(4))
    return {
        "no splats": replace(base, params=empty),  # type: ignore[arg-type]
        "one splat": replace(base, params=tuple(t[:1] for t in base.params)),  # type: ignore[arg-type]
        "all behind the camera": base.with_params(means=means - torch.tensor([0.0, 0.0, 20.0])),
        "across the near plane": _with_depths(base, torch.linspace(-0.05, 0.07, n)),
        "beyond the far plane": _with_depths(base, torch.logspace(9, 11, n)),
        "huge": base.with_params(scales=scales + 50.0),
        "tiny": base.with_params(scales=scales * 1e-6),
        "zero scales": base.with_params(scales=torch.zeros_like(scales)),
        "needles": base.with_params(scales=needles),
        "plates seen edge-on": straight.with_params(scales=plates, quats=edge_on),
        "far outside the view": base.with_params(
            means=means * torch.tensor([6.0, 6.0, 0.4]), scales=scales + 0.5
        ),
        "closes many times over": base.with_params(means=means * 0.05 + torch.tensor([0.0, 0.0, 3.0])),
        "fully opaque": base.with_params(opacities=torch.ones(n), scales=scales + 0.1),
        "barely visible": base.with_params(opacities=torch.linspace(0.001, 0.01, n), scales=scales + 0.1),
        "equal depths": straight.with_params(means=tied),
        "quaternions of any norm": base.with_params(quats=quats * torch.logspace(-3, 3, n)[:, None]),
        "colours outside 0..1": base.with_params(colors=colors * 7.0 - 3.0),
        "one pixel": replace(base, width=1, height=1),
        "one row": replace(base, width=97, height=1),
        "one column": replace(base, width=1, height=97),
    }
