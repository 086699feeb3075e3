"""Bringing a finished picture of splats to where Blender wants it."""

from __future__ import annotations

import gpu
from gpu_extras.batch import batch_for_shader

_VERTEX = """
void main()
{
  place = (corner * 0.5 + 0.5) * extent;
  gl_Position = vec4(corner, 0.0, 1.0);
}
"""

_FRAGMENT = """
void main()
{
  vec4 found = texture(picture, place);
  vec3 shown = max(found.rgb / max(found.a, 1e-6), vec3(0.0));
  vec3 low = shown / 12.92;
  vec3 high = pow((shown + 0.055) / 1.055, vec3(2.4));
  radiance = vec4(mix(high, low, vec3(lessThanEqual(shown, vec3(0.04045)))) * found.a, found.a);
}
"""


class Presenter:
    """Lays a premultiplied picture of colours as a screen shows them over a framebuffer that takes linear light."""

    def __init__(self) -> None:
        info = gpu.types.GPUShaderCreateInfo()
        info.vertex_in(0, "VEC2", "corner")
        varyings = gpu.types.GPUStageInterfaceInfo("splinescape_present")
        varyings.smooth("VEC2", "place")
        info.vertex_out(varyings)
        info.push_constant("VEC2", "extent")
        info.sampler(0, "FLOAT_2D", "picture")
        info.fragment_out(0, "VEC4", "radiance")
        info.vertex_source(_VERTEX)
        info.fragment_source(_FRAGMENT)
        self._shader = gpu.shader.create_from_info(info)
        corners = ((-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0))
        self._batch = batch_for_shader(self._shader, "TRI_STRIP", {"corner": corners})

    def draw(self, picture: gpu.types.GPUTexture, extent: tuple[float, float] = (1.0, 1.0)) -> None:
        """Blend the lower left part of `picture`, `extent` of its width and height, over the current viewport."""
        gpu.state.blend_set("ALPHA_PREMULT")
        self._shader.bind()
        self._shader.uniform_float("extent", extent)
        self._shader.uniform_sampler("picture", picture)
        self._batch.draw(self._shader)
        gpu.state.blend_set("NONE")
