"""The shaders. A splat is a quad whose sides follow its ellipse on the screen (EWA splatting, Zwicker et al. 2001).

The definition is the backend's: 0.3 pixels^2 added to the covariance, alpha = min(0.999, opacity exp(-r^2 / 2))
left out below 1/255, splats ordered by camera z. r is linear in the pixel, so the corners carry it.
"""

from __future__ import annotations

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

BLOCK = 1024
"""Splats of one instance: an instance of one splat each costs graphics cards, and llvmpipe more, dearly."""

_VERTEX = """
vec4 texel_of_splat(int index)
{
  return texelFetch(geometry, ivec2(index & 4095, index >> 12), 0);
}

void main()
{
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  whitened = vec2(0.0);
  paint = vec4(0.0);
  depths = vec2(0.0);

  int rank = gl_InstanceID * 1024 + int(corner.z);
  if (rank >= int(screen.w)) {
    return;
  }
  vec2 entry = texelFetch(ranks, ivec2(rank & 4095, rank >> 12), 0).xy;
  int splat = int(entry.x);
  int object = 3 * int(entry.y);
  vec4 row_x = texelFetch(objects, ivec2(object, 0), 0);
  vec4 row_y = texelFetch(objects, ivec2(object + 1, 0), 0);
  vec4 row_z = texelFetch(objects, ivec2(object + 2, 0), 0);
  vec4 t0 = texel_of_splat(3 * splat);
  vec4 centre = vec4(t0.xyz, 1.0);
  float x = dot(row_x, centre);
  float y = dot(row_y, centre);
  float z = dot(row_z, centre);
  bool perspective = depth_map.z != 0.0;
  if (!(z >= screen.z)) {
    return;
  }
  vec4 color = texelFetch(paints, ivec2(splat & 4095, splat >> 12), 0);
  if (!(color.a >= 1.0 / 255.0)) {
    return;
  }

  vec4 t1 = texel_of_splat(3 * splat + 1);
  vec4 t2 = texel_of_splat(3 * splat + 2);
  vec3 axes_x = vec3(t0.w, t1.x, t1.y);
  vec3 axes_y = vec3(t1.z, t1.w, t2.x);
  vec3 axes_z = vec3(t2.y, t2.z, t2.w);
  vec3 f_x = row_x.x * axes_x + row_x.y * axes_y + row_x.z * axes_z;
  vec3 f_y = row_y.x * axes_x + row_y.y * axes_y + row_y.z * axes_z;
  vec3 f_z = row_z.x * axes_x + row_z.y * axes_y + row_z.z * axes_z;
  vec2 middle;
  if (perspective) {
    float u = x / z;
    float v = y / z;
    middle = lens.xy * vec2(u, v) + lens.zw;
    f_x = (lens.x / z) * (f_x - clamp(u, bounds.x, bounds.y) * f_z);
    f_y = (lens.y / z) * (f_y - clamp(v, bounds.z, bounds.w) * f_z);
  }
  else {
    middle = lens.xy * vec2(x, y) + lens.zw;
    f_x *= lens.x;
    f_y *= lens.y;
  }
  f_x *= depth_map.w;
  f_y *= depth_map.w;

  float xx = dot(f_x, f_x);
  float xy = dot(f_x, f_y);
  float yy = dot(f_y, f_y);
  vec3 minors = cross(f_x, f_y);
  float det = dot(minors, minors) + 0.3 * (xx + yy) + 0.09;
  xx += 0.3;
  yy += 0.3;
  float half_trace = 0.5 * (xx + yy);
  float large = half_trace + length(vec2(0.5 * (xx - yy), xy));
  float small = det / large;
  if (!(large < 1e18) || !(small > 0.0)) {
    return;
  }
  float angle = 0.5 * atan(2.0 * xy, xx - yy);
  vec2 along = vec2(cos(angle), sin(angle));
  whitened = corner.xy * sqrt(2.0 * log(255.0 * color.a));
  vec2 pixel = middle + whitened.x * sqrt(large) * along + whitened.y * sqrt(small) * vec2(-along.y, along.x);

  float clip_z = depth_map.x * -z + depth_map.y;
  float window_z = clip_z / (perspective ? z : 1.0);
  paint = color;
  depths = vec2(z, clamp(window_z, -1.0, 1.0) * 0.5 + 0.5);
  gl_Position = vec4(pixel / screen.xy * 2.0 - 1.0, 0.0, 1.0);
}
"""

_FRAGMENT = """
void main()
{
  float alpha = min(0.999, paint.a * exp(-0.5 * dot(whitened, whitened)));
  if (!(alpha >= 1.0 / 255.0)) {
    discard;
  }
#ifdef OCCLUDED
  ivec2 last = textureSize(scene_depth, 0) - 1;
  ivec2 place = min(ivec2(gl_FragCoord.xy * occlusion), last);
  if (depths.y > texelFetch(scene_depth, place, 0).x) {
    discard;
  }
#endif
  radiance = vec4(paint.rgb * alpha, alpha);
#ifdef WITH_DEPTH
  distance_sum = vec4(depths.x * alpha, 0.0, 0.0, alpha);
#endif
}
"""


def splat_batch(shader: gpu.types.GPUShader) -> gpu.types.GPUBatch:
    """A block of quads: each corner as x, y and the number of its splat in the block."""
    corners = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)], np.float32)
    vertices = np.empty((BLOCK, 4, 3), np.float32)
    vertices[:, :, :2] = corners
    vertices[:, :, 2] = np.arange(BLOCK)[:, None]
    triangles = np.arange(BLOCK)[:, None, None] * 4 + np.array([(0, 1, 2), (2, 1, 3)])
    indices = np.ascontiguousarray(triangles.reshape(-1, 3), np.int32)
    return batch_for_shader(shader, "TRIS", {"corner": vertices.reshape(-1, 3)}, indices=indices)


def splat_shader(*, with_depth: bool, occluded: bool) -> gpu.types.GPUShader:
    """Compile the shader of splats.

    Args:
        with_depth: a second target receives alpha-weighted camera z.
        occluded: fragments behind the texture `scene_depth` are left out.
    """
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC3", "corner")
    for slot, name in enumerate(("geometry", "paints", "ranks", "objects")):
        info.sampler(slot, "FLOAT_2D", name)
    for name in ("lens", "bounds", "depth_map", "screen"):
        info.push_constant("VEC4", name)
    varyings = gpu.types.GPUStageInterfaceInfo("splinescape_splat")
    varyings.smooth("VEC2", "whitened")
    varyings.flat("VEC4", "paint")
    varyings.flat("VEC2", "depths")
    info.vertex_out(varyings)
    info.fragment_out(0, "VEC4", "radiance")
    if with_depth:
        info.define("WITH_DEPTH")
        info.fragment_out(1, "VEC4", "distance_sum")
    if occluded:
        info.define("OCCLUDED")
        info.sampler(4, "FLOAT_2D", "scene_depth")
        info.push_constant("VEC2", "occlusion")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)
