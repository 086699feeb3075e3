"""The pass over pixels that turns each into a splat."""

from __future__ import annotations

import numpy as np

from splinescape.jit import njit
from splinescape.scene.edges import JUMP
from splinescape.scene.splats import SH_C0

FOOTPRINT = 0.55
"""Standard deviation in pixels of a splat in the view that made it, before the rasteriser's own low-pass."""

_LOG_THICKNESS = np.log(0.1)
_LOG_FOOTPRINT = np.log(FOOTPRINT)
_MAX_STRETCH = 40.0
_MAX_STRETCH_AT_EDGE = 3.0
_SMOOTH = np.float32(0.2 * JUMP)
_STEEP = np.float32(4 * JUMP)
_LEAST = np.float32(1e-12)
_HALF = np.float32(0.5)
_SH_C0 = np.float32(SH_C0)


@njit(error_model="numpy")
def lift_pixels(start, stop, pixels, w, depth, edges, rgb, K, cam, radius, out):  # type: ignore[no-untyped-def]
    """Write the splats of some pixels.

    Helpers are handed numbers, not arrays: numba counts the references to an array wherever one goes.

    Args:
        start, stop: splats. pixels: (M,) flat indices. w, depth: (H, W) float32, inverse depth and camera z.
        edges: (H, W) bool. rgb: (H, W, 3) float32. K: fx, fy, cx, cy. cam: world_T_cam, three rows of four numbers.
        radius: of the far shell. out: means (M, 3), log_scales (M, 3), quats (M, 4) and sh (M, 3), float32 to write.
    """
    means, log_scales, quats, sh = out
    h, n = w.shape
    fx, fy, cx, cy = K
    # Divisions are what takes long here: there is one where several numbers are divided by the same.
    per_fx, per_fy = 1 / fx, 1 / fy
    for s in range(start, stop):
        i, j = pixels[s] // n, pixels[s] % n
        x, y = (j + 0.5 - cx) / fx, (i + 0.5 - cy) / fy
        z = np.float64(depth[i, j])
        if np.isfinite(z):
            before, after = max(j - 1, 0), min(j + 1, n - 1)
            slope_u = _slope(w[i, before], w[i, j], w[i, after], j == 0, j == n - 1)
            before, after = max(i - 1, 0), min(i + 1, h - 1)
            slope_v = _slope(w[before, j], w[i, j], w[after, j], i == 0, i == h - 1)
            # Beside an edge the slope may come from a sliver one pixel wide: a wrong one must not reach far.
            stretch = _MAX_STRETCH_AT_EDGE if edges[i, j] else _MAX_STRETCH
        else:
            z, slope_u, slope_v = _on_shell(x, y, cam, radius)
            slope_u, slope_v, stretch = slope_u * per_fx, slope_v * per_fy, _MAX_STRETCH
        means[s, 0], means[s, 1], means[s, 2] = _moved(cam, (x * z, y * z, z))
        for c in range(3):
            sh[s, c] = (rgb[i, j, c] - _HALF) / _SH_C0
        major, minor, long, short = _principal_axes(x, y, z, slope_u, slope_v, per_fx, per_fy)
        log_short = _LOG_FOOTPRINT + np.log(short)
        log_scales[s, 0] = _LOG_FOOTPRINT + np.log(min(long, stretch * short))
        log_scales[s, 1] = log_short
        log_scales[s, 2] = _LOG_THICKNESS + log_short
        rotation = _quaternion(_turned(cam, major), _turned(cam, minor))
        quats[s, 0], quats[s, 1], quats[s, 2], quats[s, 3] = rotation


@njit(error_model="numpy")
def _slope(before, here, after, is_first, is_last):  # type: ignore[no-untyped-def]
    """Slope of inverse depth at a pixel between two: their mean on smooth surfaces, the smaller one next to an edge.

    The first and the last pixel of a line have one side; 0 in a line of one pixel.
    """
    back, ahead = here - before, after - here
    if is_first:
        back = ahead
    elif is_last:
        ahead = back
    nearer = max(here, _LEAST)
    slope = back if abs(back) < abs(ahead) else ahead
    if abs(back - ahead) < _SMOOTH * nearer:
        slope = _HALF * (back + ahead)
    return 0.0 if abs(slope) > _STEEP * nearer else np.float64(slope)


@njit(error_model="numpy")
def _turned(cam, p):  # type: ignore[no-untyped-def]
    """A camera-frame direction in the world."""
    return (
        cam[0] * p[0] + cam[1] * p[1] + cam[2] * p[2],
        cam[4] * p[0] + cam[5] * p[1] + cam[6] * p[2],
        cam[8] * p[0] + cam[9] * p[1] + cam[10] * p[2],
    )


@njit(error_model="numpy")
def _moved(cam, p):  # type: ignore[no-untyped-def]
    """A camera-frame point in the world."""
    x, y, z = _turned(cam, p)
    return x + cam[3], y + cam[7], z + cam[11]


@njit(error_model="numpy")
def _dot(p, q):  # type: ignore[no-untyped-def]
    return p[0] * q[0] + p[1] * q[1] + p[2] * q[2]


@njit(error_model="numpy")
def _times(factor, p):  # type: ignore[no-untyped-def]
    return factor * p[0], factor * p[1], factor * p[2]


@njit(error_model="numpy")
def _on_shell(x, y, cam, radius):  # type: ignore[no-untyped-def]
    """Depth of the shell on the ray (x, y, 1), and the slopes per unit of x and y of its tangent plane's inverse depth.

    The camera must stand inside: |centre + t d| = radius has one root t in front of it.
    """
    centre, d = (cam[3], cam[7], cam[11]), _turned(cam, (x, y, 1.0))
    a, b, c = _dot(d, d), _dot(d, centre), _dot(centre, centre) - radius * radius
    t = (-b + np.sqrt(b * b - a * c)) / a
    n = (centre[0] + t * d[0], centre[1] + t * d[1], centre[2] + t * d[2])
    scale = t * _dot(n, d)
    return t, _dot(n, (cam[0], cam[4], cam[8])) / scale, _dot(n, (cam[1], cam[5], cam[9])) / scale


@njit(error_model="numpy")
def _principal_axes(x, y, z, slope_u, slope_v, per_fx, per_fy):  # type: ignore[no-untyped-def]
    """Unit axes in the camera frame of the ellipse T T^t that one pixel covers on the tangent plane, and their lengths.

    From the 2x2 matrix T^t T: the angle of its major axis is half of atan2(2 uv, uu - vv), here without the angle.
    """
    across, along = -slope_u * (z * z), -slope_v * (z * z)
    tu = (across * x + z * per_fx, across * y, across)
    tv = (along * x, along * y + z * per_fy, along)
    difference, twice = _dot(tu, tu) - _dot(tv, tv), 2 * _dot(tu, tv)
    size = np.sqrt(difference * difference + twice * twice)
    cos, sin = 1.0, 0.0
    if size > 0:
        per_size = 0.5 / size
        larger = np.sqrt(0.5 + per_size * abs(difference))
        smaller = per_size * abs(twice) / larger
        cos, sin = (larger, smaller) if difference >= 0 else (smaller, larger)
        sin = np.copysign(sin, twice)
    major = (cos * tu[0] + sin * tv[0], cos * tu[1] + sin * tv[1], cos * tu[2] + sin * tv[2])
    minor = (cos * tv[0] - sin * tu[0], cos * tv[1] - sin * tu[1], cos * tv[2] - sin * tu[2])
    long, short = np.sqrt(_dot(major, major)), np.sqrt(_dot(minor, minor))
    return _times(1 / long, major), _times(1 / short, minor), long, short


@njit(error_model="numpy")
def _quaternion(p, q):  # type: ignore[no-untyped-def]
    """Unit quaternion wxyz of the rotation with columns p, q and p x q.

    From the largest of the four sums that are free of cancellation. Source: Shepperd 1978, in the form of Markley 2008.
    """
    r = (p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])
    trace = p[0] + q[1] + r[2]
    if trace > max(max(p[0], q[1]), r[2]):
        w, x, y, z = 1 + trace, q[2] - r[1], r[0] - p[2], p[1] - q[0]
    elif r[2] > max(p[0], q[1]):
        w, x, y, z = p[1] - q[0], r[0] + p[2], q[2] + r[1], 1 - trace + 2 * r[2]
    elif q[1] > p[0]:
        w, x, y, z = r[0] - p[2], p[1] + q[0], 1 - trace + 2 * q[1], q[2] + r[1]
    else:
        w, x, y, z = q[2] - r[1], 1 - trace + 2 * p[0], p[1] + q[0], r[0] + p[2]
    per_norm = 1 / np.sqrt(w * w + x * x + y * y + z * z)
    return w * per_norm, x * per_norm, y * per_norm, z * per_norm
