"""Projection of splats to pixels, and its gradient; LANES splats at a time.

A projected splat is a row of `RECORD` float32 numbers. Its exponent is kept as a sum of squares: with the 2D
covariance S and d = pixel - centre,

    d' S^-1 d = dy^2 / S_yy + (dx - k dy)^2 / S_x|y,    k = S_xy / S_yy,    S_x|y = det S / S_yy,

which, unlike a dx^2 + 2 b dx dy + c dy^2, does not cancel for a splat seen edge-on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from splinescape.jit import njit
from splinescape.raster.cpu.vec import (
    LANES,
    ceil,
    floor,
    load,
    load_strided,
    log2,
    maximum,
    minimum,
    select,
    splat,
    sqrt,
    store,
    store_strided,
)

RECORD = 12
"""Columns: centre x, y; k; sqrt(log2(e) / 2 / S_x|y); sqrt(log2(e) / 2 / S_yy); log2(opacity); r, g, b;
camera z; first and last + 1 pixel row that the splat reaches, clipped to the image."""

SLOT = 10
"""Columns of a gradient slot, sums over pixels: g, g ex, g ey, g ex^2, g ex ey, g ey^2 with
g = alpha dL/dalpha and ex^2 + ey^2 = log2(e) d' S^-1 d / 2, then dL/dr, dL/dg, dL/db and dL/dz."""

SUMS = SLOT + 1


@njit
def _rotation(q: Any) -> Any:
    """Rotation of a quaternion of any norm, row by row, and 1 / norm."""
    w, x, y, z = q
    one, two = splat(np.float32(1)), splat(np.float32(2))
    inv = one / sqrt(maximum(w * w + x * x + y * y + z * z, splat(np.float32(1e-24))))
    w, x, y, z = w * inv, x * inv, y * inv, z * inv
    return (
        one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y),
        two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x),
        two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y),
        inv,
    )  # fmt: skip


@njit
def _dot(a0: Any, b0: Any, a1: Any, b1: Any, a2: Any, b2: Any) -> Any:
    return a0 * b0 + a1 * b1 + a2 * b2


@njit
def _load3(array: Any, i: Any) -> Any:
    return load_strided(array, 3 * i, 3), load_strided(array, 3 * i + 1, 3), load_strided(array, 3 * i + 2, 3)


@njit
def _load4(array: Any, i: Any) -> Any:
    return (
        load_strided(array, 4 * i, 4), load_strided(array, 4 * i + 1, 4),
        load_strided(array, 4 * i + 2, 4), load_strided(array, 4 * i + 3, 4),
    )  # fmt: skip


@njit
def _camera_space(means: Any, i: Any, V: Any) -> Any:
    """Camera x, y, z of splats i, i + 1, ..., summed as the torch reference does, so depths tie alike."""
    px, py, pz = _load3(means, i)
    x = _dot(splat(V[0, 0]), px, splat(V[0, 1]), py, splat(V[0, 2]), pz) + splat(V[0, 3])
    y = _dot(splat(V[1, 0]), px, splat(V[1, 1]), py, splat(V[1, 2]), pz) + splat(V[1, 3])
    z = _dot(splat(V[2, 0]), px, splat(V[2, 1]), py, splat(V[2, 2]), pz) + splat(V[2, 3])
    return x, y, z


@njit
def _clamped(u: Any, low: Any, high: Any) -> Any:
    return minimum(maximum(u, splat(low)), splat(high))


@njit
def _axes(V: Any, gx: Any, gy: Any, jx: Any, jy: Any) -> Any:
    """Rows of Jacobian times view rotation, with the Jacobian ((jx, 0, jx gx), (0, jy, jy gy))."""
    return (
        jx * (splat(V[0, 0]) + gx * splat(V[2, 0])),
        jx * (splat(V[0, 1]) + gx * splat(V[2, 1])),
        jx * (splat(V[0, 2]) + gx * splat(V[2, 2])),
        jy * (splat(V[1, 0]) + gy * splat(V[2, 0])),
        jy * (splat(V[1, 1]) + gy * splat(V[2, 1])),
        jy * (splat(V[1, 2]) + gy * splat(V[2, 2])),
    )


@njit
def _factor(a: Any, r: Any, s: Any) -> Any:
    """F = A R diag(s), whose F F' is the 2D covariance before the blur."""
    return (
        _dot(a[0], r[0], a[1], r[3], a[2], r[6]) * s[0],
        _dot(a[0], r[1], a[1], r[4], a[2], r[7]) * s[1],
        _dot(a[0], r[2], a[1], r[5], a[2], r[8]) * s[2],
        _dot(a[3], r[0], a[4], r[3], a[5], r[6]) * s[0],
        _dot(a[3], r[1], a[4], r[4], a[5], r[7]) * s[1],
        _dot(a[3], r[2], a[4], r[5], a[5], r[8]) * s[2],
    )


@njit
def _covariance(f: Any) -> Any:
    """Blurred 2D covariance xx, xy, yy and its determinant."""
    eps = splat(np.float32(0.3))
    xx = _dot(f[0], f[0], f[1], f[1], f[2], f[2])
    xy = _dot(f[0], f[3], f[1], f[4], f[2], f[5])
    yy = _dot(f[3], f[3], f[4], f[4], f[5], f[5])
    m0, m1, m2 = f[1] * f[5] - f[2] * f[4], f[2] * f[3] - f[0] * f[5], f[0] * f[4] - f[1] * f[3]
    # Cauchy-Binet: the determinant of F F' without the cancellation of xx yy - xy^2.
    det = _dot(m0, m0, m1, m1, m2, m2) + eps * (xx + yy) + eps * eps
    return xx + eps, xy, yy + eps, det


@njit
def _first_of_block(block: Any, count: Any) -> Any:
    """First splat of a block; the last block is moved back to end with the last splat."""
    return min(block * LANES, count - LANES)


@njit
def project(
    start: Any, stop: Any, means: Any, quats: Any, scales: Any, opacities: Any, colors: Any,
    V: Any, camera: Any, width: Any, height: Any, tile_w: Any, tile_h: Any,
    records: Any, rects: Any, depths: Any,
) -> None:  # fmt: skip
    """Project blocks [start, stop) of LANES splats.

    Args:
        means, quats, scales, opacities, colors: flat float32, at least LANES splats.
        V: (4, 4) view matrix.
        camera: (8,) fx, fy, cx, cy, then the lowest and highest x / z and y / z where the Jacobian is taken.
        width, height, tile_w, tile_h: image and tile size in pixels, float32.
        records: (N * RECORD,) output.
        rects: (N * 4,) int16 output: first and last + 1 tile column, then row; zeros for a splat not seen.
        depths: (N,) output, camera z.
    """
    count = len(opacities)
    zero, one, half = splat(np.float32(0)), splat(np.float32(1)), splat(np.float32(0.5))
    half_log2e = splat(np.float32(0.7213475204444817))
    w, h = splat(width), splat(height)
    per_tile_w, per_tile_h = splat(np.float32(1) / tile_w), splat(np.float32(1) / tile_h)
    for block in range(start, stop):
        i = _first_of_block(block, count)
        x, y, z = _camera_space(means, i, V)
        opacity = load(opacities, i)
        r = _rotation(_load4(quats, i))
        rz = one / z
        u, v = x * rz, y * rz
        gx, gy = -_clamped(u, camera[4], camera[5]), -_clamped(v, camera[6], camera[7])
        a = _axes(V, gx, gy, splat(camera[0]) * rz, splat(camera[1]) * rz)
        f = _factor(a, r, _load3(scales, i))
        xx, xy, yy, det = _covariance(f)
        seen = (z >= splat(np.float32(0.01))) & (splat(np.float32(1e10)) >= z)
        seen = seen & (opacity >= splat(np.float32(1.0 / 255.0))) & (splat(np.float32(3e38)) > det)
        log2o = log2(opacity)
        # Pixels whose centres lie in the box where alpha can reach 1/255; see `Rasterizer`.
        reach = sqrt(maximum(log2o + splat(np.float32(7.994353436858858)), zero) / half_log2e)
        mx, my = splat(camera[0]) * u + splat(camera[2]), splat(camera[1]) * v + splat(camera[3])
        reach_x, reach_y = reach * sqrt(xx), reach * sqrt(yy)
        x0 = minimum(maximum(ceil(mx - reach_x - half), zero), w)
        x1 = minimum(maximum(floor(mx + reach_x + half), zero), w)
        y0 = minimum(maximum(ceil(my - reach_y - half), zero), h)
        y1 = minimum(maximum(floor(my + reach_y + half), zero), h)
        seen = seen & (x1 > x0) & (y1 > y0)
        store_strided(records, i * RECORD, RECORD, mx)
        store_strided(records, i * RECORD + 1, RECORD, my)
        store_strided(records, i * RECORD + 2, RECORD, xy / yy)
        store_strided(records, i * RECORD + 3, RECORD, sqrt(half_log2e * yy / det))
        store_strided(records, i * RECORD + 4, RECORD, sqrt(half_log2e / yy))
        store_strided(records, i * RECORD + 5, RECORD, log2o)
        for c in range(3):
            store_strided(records, i * RECORD + 6 + c, RECORD, load_strided(colors, 3 * i + c, 3))
        store_strided(records, i * RECORD + 9, RECORD, z)
        store_strided(records, i * RECORD + 10, RECORD, y0)
        store_strided(records, i * RECORD + 11, RECORD, y1)
        store_strided(rects, i * 4, 4, select(seen, floor(x0 * per_tile_w), zero))
        store_strided(rects, i * 4 + 1, 4, select(seen, ceil(x1 * per_tile_w), zero))
        store_strided(rects, i * 4 + 2, 4, select(seen, floor(y0 * per_tile_h), zero))
        store_strided(rects, i * 4 + 3, 4, select(seen, ceil(y1 * per_tile_h), zero))
        store(depths, i, z)


@njit
def _sum_slots(first_slot: Any, slots: Any, i: Any, sums: Any) -> None:
    """Sum the slots of LANES splats into `sums` (LANES * SUMS,), and count them in the last column."""
    for lane in range(LANES):
        at = lane * SUMS
        for c in range(SLOT):
            sums[at + c] = np.float32(0)
        sums[at + SLOT] = np.float32(first_slot[i + lane + 1] - first_slot[i + lane])
        for j in range(first_slot[i + lane], first_slot[i + lane + 1]):
            for c in range(SLOT):
                sums[at + c] += slots[j * SLOT + c]


@njit
def _moment_gradients(sums: Any, f: Any) -> Any:
    """Gradients of the centre and of F from a splat's moments.

    With S^-1 = W' W and e = c W d, c^2 = log2(e) / 2, they are S^-1 sum(g d) = W' sum(g e) / c and
    S^-1 sum(g d d') S^-1 F = W' sum(g e e') W F / c^2, which stays accurate for the thinnest splat.
    """
    inv_c, inv_c2 = splat(np.float32(1.1774100225154747)), splat(np.float32(1.3862943611198906))
    _xx, xy, yy, det = _covariance(f)
    k = xy / yy
    w0, w1 = sqrt(yy / det), splat(np.float32(1)) / sqrt(yy)
    ex, ey = load_strided(sums, 1, SUMS) * inv_c, load_strided(sums, 2, SUMS) * inv_c
    exx, exy = load_strided(sums, 3, SUMS) * inv_c2, load_strided(sums, 4, SUMS) * inv_c2
    eyy = load_strided(sums, 5, SUMS) * inv_c2
    x0, x1, x2 = w0 * (f[0] - k * f[3]), w0 * (f[1] - k * f[4]), w0 * (f[2] - k * f[5])
    y0, y1, y2 = w1 * f[3], w1 * f[4], w1 * f[5]
    h0, h1, h2 = w0 * (exx * x0 + exy * y0), w0 * (exx * x1 + exy * y1), w0 * (exx * x2 + exy * y2)
    h3, h4, h5 = w1 * (exy * x0 + eyy * y0), w1 * (exy * x1 + eyy * y1), w1 * (exy * x2 + eyy * y2)
    v_mx = w0 * ex
    return v_mx, w1 * ey - k * v_mx, (h0, h1, h2, h3 - k * h0, h4 - k * h1, h5 - k * h2)


@njit
def _axes_gradient(h: Any, r: Any, s: Any) -> Any:
    """dL/dA = dL/dF (R diag(s))', h being dL/dF."""
    n0, n1, n2, n3, n4, n5 = h[0] * s[0], h[1] * s[1], h[2] * s[2], h[3] * s[0], h[4] * s[1], h[5] * s[2]
    return (
        _dot(n0, r[0], n1, r[1], n2, r[2]),
        _dot(n0, r[3], n1, r[4], n2, r[5]),
        _dot(n0, r[6], n1, r[7], n2, r[8]),
        _dot(n3, r[0], n4, r[1], n5, r[2]),
        _dot(n3, r[3], n4, r[4], n5, r[5]),
        _dot(n3, r[6], n4, r[7], n5, r[8]),
    )


@njit
def _stretch_gradient(a: Any, h: Any) -> Any:
    """dL/d(R diag(s)) = A' dL/dF, row by row."""
    return (
        a[0] * h[0] + a[3] * h[3], a[0] * h[1] + a[3] * h[4], a[0] * h[2] + a[3] * h[5],
        a[1] * h[0] + a[4] * h[3], a[1] * h[1] + a[4] * h[4], a[1] * h[2] + a[4] * h[5],
        a[2] * h[0] + a[5] * h[3], a[2] * h[1] + a[5] * h[4], a[2] * h[2] + a[5] * h[5],
    )  # fmt: skip


@njit
def _camera_space_gradient(x: Any, y: Any, z: Any, v_mx: Any, v_my: Any, va: Any, V: Any, camera: Any) -> Any:
    """Gradient of the camera x, y, z through the pixel centre and, by dL/dA, through the Jacobian."""
    zero = splat(np.float32(0))
    fx, fy = splat(camera[0]), splat(camera[1])
    rz = splat(np.float32(1)) / z
    u, v = x * rz, y * rz
    gx, gy = -_clamped(u, camera[4], camera[5]), -_clamped(v, camera[6], camera[7])
    vj00 = _dot(va[0], splat(V[0, 0]), va[1], splat(V[0, 1]), va[2], splat(V[0, 2]))
    vj02 = _dot(va[0], splat(V[2, 0]), va[1], splat(V[2, 1]), va[2], splat(V[2, 2]))
    vj11 = _dot(va[3], splat(V[1, 0]), va[4], splat(V[1, 1]), va[5], splat(V[1, 2]))
    vj12 = _dot(va[3], splat(V[2, 0]), va[4], splat(V[2, 1]), va[5], splat(V[2, 2]))
    # The Jacobian follows x / z and y / z only where they are not clamped.
    inside_x = (u >= splat(camera[4])) & (splat(camera[5]) >= u)
    inside_y = (v >= splat(camera[6])) & (splat(camera[7]) >= v)
    v_u = fx * v_mx - select(inside_x, fx * rz * vj02, zero)
    v_v = fy * v_my - select(inside_y, fy * rz * vj12, zero)
    v_rz = fx * (vj00 + gx * vj02) + fy * (vj11 + gy * vj12) + v_u * x + v_v * y
    return v_u * rz, v_v * rz, -v_rz * rz * rz


@njit
def _quaternion_gradient(q: Any, inv: Any, g: Any) -> Any:
    """Gradient of a quaternion of norm 1 / inv from the gradient g of its rotation, row by row."""
    two = splat(np.float32(2))
    w, x, y, z = q[0] * inv, q[1] * inv, q[2] * inv, q[3] * inv
    vw = two * _dot(x, g[7] - g[5], y, g[2] - g[6], z, g[3] - g[1])
    vx = two * (_dot(y, g[3] + g[1], z, g[6] + g[2], w, g[7] - g[5]) - two * x * (g[4] + g[8]))
    vy = two * (_dot(x, g[3] + g[1], z, g[7] + g[5], w, g[2] - g[6]) - two * y * (g[0] + g[8]))
    vz = two * (_dot(x, g[6] + g[2], y, g[7] + g[5], w, g[3] - g[1]) - two * z * (g[0] + g[4]))
    along = vw * w + vx * x + vy * y + vz * z
    return (vw - along * w) * inv, (vx - along * x) * inv, (vy - along * y) * inv, (vz - along * z) * inv


@njit
def project_backward(
    start: Any, stop: Any, means: Any, quats: Any, scales: Any, opacities: Any, V: Any, camera: Any,
    first_slot: Any, slots: Any, v_means: Any, v_quats: Any, v_scales: Any, v_opacities: Any, v_colors: Any,
) -> None:  # fmt: skip
    """Sum the slots of blocks [start, stop) of LANES splats and turn them into gradients of the parameters.

    Args:
        means, quats, scales, opacities, V, camera: as for `project`.
        first_slot: (N + 1,) start of each splat's rows in `slots` (S * SLOT,); a splat not seen has none.
        v_*: outputs, flat, as the parameters.
    """
    count = len(opacities)
    zero = splat(np.float32(0))
    sums = np.empty(LANES * SUMS, np.float32)
    for block in range(start, stop):
        i = _first_of_block(block, count)
        _sum_slots(first_slot, slots, i, sums)
        x, y, z = _camera_space(means, i, V)
        rz = splat(np.float32(1)) / z
        q, s = _load4(quats, i), _load3(scales, i)
        r = _rotation(q)
        gx, gy = -_clamped(x * rz, camera[4], camera[5]), -_clamped(y * rz, camera[6], camera[7])
        a = _axes(V, gx, gy, splat(camera[0]) * rz, splat(camera[1]) * rz)
        v_mx, v_my, h = _moment_gradients(sums, _factor(a, r, s))
        vx, vy, vz = _camera_space_gradient(x, y, z, v_mx, v_my, _axes_gradient(h, r, s), V, camera)
        vz = vz + load_strided(sums, 9, SUMS)
        m = _stretch_gradient(a, h)
        v_rotation = (
            m[0] * s[0], m[1] * s[1], m[2] * s[2],
            m[3] * s[0], m[4] * s[1], m[5] * s[2],
            m[6] * s[0], m[7] * s[1], m[8] * s[2],
        )  # fmt: skip
        vq = _quaternion_gradient(q, r[9], v_rotation)
        # What was not seen may hold anything here, not numbers included.
        seen = load_strided(sums, SLOT, SUMS) > zero
        for c in range(3):
            store_strided(v_colors, 3 * i + c, 3, load_strided(sums, 6 + c, SUMS))
            moved = _dot(splat(V[0, c]), vx, splat(V[1, c]), vy, splat(V[2, c]), vz)
            store_strided(v_means, 3 * i + c, 3, select(seen, moved, zero))
        store_strided(v_scales, 3 * i, 3, select(seen, _dot(r[0], m[0], r[3], m[3], r[6], m[6]), zero))
        store_strided(v_scales, 3 * i + 1, 3, select(seen, _dot(r[1], m[1], r[4], m[4], r[7], m[7]), zero))
        store_strided(v_scales, 3 * i + 2, 3, select(seen, _dot(r[2], m[2], r[5], m[5], r[8], m[8]), zero))
        store_strided(v_quats, 4 * i, 4, select(seen, vq[0], zero))
        store_strided(v_quats, 4 * i + 1, 4, select(seen, vq[1], zero))
        store_strided(v_quats, 4 * i + 2, 4, select(seen, vq[2], zero))
        store_strided(v_quats, 4 * i + 3, 4, select(seen, vq[3], zero))
        store(v_opacities, i, select(seen, load_strided(sums, 0, SUMS) / load(opacities, i), zero))
