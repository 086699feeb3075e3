"""Projection of splats to pixels and its gradient, one splat at a time.

A projected splat is a row of `RECORD` float32 numbers. Its exponent is kept as a sum of squares: with the 2D
covariance S and d = pixel - centre,

    d' S^-1 d = dy^2 / S_yy + (dx - k dy)^2 / S_x|y,    k = S_xy / S_yy,    S_x|y = det S / S_yy,

which, unlike a dx^2 + 2 b dx dy + c dy^2, does not cancel for a splat seen edge-on.
"""

from __future__ import annotations

import math

import numpy as np

from splinescape.jit import njit

RECORD = 12
"""Columns: centre x, y; k; sqrt(log2(e) / 2 / S_x|y); sqrt(log2(e) / 2 / S_yy); log2(opacity); r, g, b; camera z;
half width and half height in pixels of the box where alpha >= 1/255, the latter negative for a splat not seen."""

HALF_LOG2E = 0.5 / math.log(2.0)
LOG2_MIN_ALPHA = -math.log2(255.0)


@njit
def _rotation(q, R):
    """Write the rotation of quaternion q (wxyz, any norm) to R (3, 3); return 1 / |q|."""
    inv = np.float32(1) / np.sqrt(
        max(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3], np.float32(1e-24))
    )
    w, x, y, z = q[0] * inv, q[1] * inv, q[2] * inv, q[3] * inv
    two, one = np.float32(2), np.float32(1)
    R[0, 0], R[0, 1], R[0, 2] = one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)
    R[1, 0], R[1, 1], R[1, 2] = two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)
    R[2, 0], R[2, 1], R[2, 2] = two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)
    return inv


@njit
def _camera_point(p, V):
    x = V[0, 0] * p[0] + V[0, 1] * p[1] + V[0, 2] * p[2] + V[0, 3]
    y = V[1, 0] * p[0] + V[1, 1] * p[1] + V[1, 2] * p[2] + V[1, 3]
    z = V[2, 0] * p[0] + V[2, 1] * p[1] + V[2, 2] * p[2] + V[2, 3]
    return x, y, z


@njit
def project(start, stop, means, quats, scales, opacities, colors, V, camera, records):
    """Fill `records` (N, RECORD) for splats [start, stop).

    Args:
        V: (4, 4) view matrix.
        camera: (8,) fx, fy, cx, cy, then the lowest and highest x / z and y / z where the Jacobian is taken.
    """
    fx, fy, cx, cy = camera[0], camera[1], camera[2], camera[3]
    R = np.empty((3, 3), np.float32)
    F = np.empty((2, 3), np.float32)
    eps = np.float32(0.3)
    for i in range(start, stop):
        rec = records[i]
        rec[11] = np.float32(-1)
        x, y, z = _camera_point(means[i], V)
        opacity = opacities[i]
        if not (z >= np.float32(0.01) and z <= np.float32(1e10) and opacity >= np.float32(1.0 / 255.0)):
            continue
        _rotation(quats[i], R)
        rz = np.float32(1) / z
        u, v = x * rz, y * rz
        gx = -min(max(u, camera[4]), camera[5])
        gy = -min(max(v, camera[6]), camera[7])
        for k in range(3):
            a0 = (V[0, 0] + gx * V[2, 0]) * R[0, k] + (V[0, 1] + gx * V[2, 1]) * R[1, k]
            a1 = (V[1, 0] + gy * V[2, 0]) * R[0, k] + (V[1, 1] + gy * V[2, 1]) * R[1, k]
            a0 += (V[0, 2] + gx * V[2, 2]) * R[2, k]
            a1 += (V[1, 2] + gy * V[2, 2]) * R[2, k]
            F[0, k] = fx * rz * a0 * scales[i, k]
            F[1, k] = fy * rz * a1 * scales[i, k]
        xx = F[0, 0] * F[0, 0] + F[0, 1] * F[0, 1] + F[0, 2] * F[0, 2]
        xy = F[0, 0] * F[1, 0] + F[0, 1] * F[1, 1] + F[0, 2] * F[1, 2]
        yy = F[1, 0] * F[1, 0] + F[1, 1] * F[1, 1] + F[1, 2] * F[1, 2]
        m0 = F[0, 1] * F[1, 2] - F[0, 2] * F[1, 1]
        m1 = F[0, 2] * F[1, 0] - F[0, 0] * F[1, 2]
        m2 = F[0, 0] * F[1, 1] - F[0, 1] * F[1, 0]
        # Cauchy-Binet: the determinant of F F' without the cancellation of xx yy - xy^2.
        det = m0 * m0 + m1 * m1 + m2 * m2 + eps * (xx + yy) + eps * eps
        xx += eps
        yy += eps
        if not (det > np.float32(0) and det < np.float32(3e38)):
            continue
        log2o = np.log2(opacity)
        reach = np.sqrt(max(log2o - np.float32(LOG2_MIN_ALPHA), np.float32(0)) / np.float32(HALF_LOG2E))
        rec[0] = fx * u + cx
        rec[1] = fy * v + cy
        rec[2] = xy / yy
        rec[3] = np.sqrt(np.float32(HALF_LOG2E) * yy / det)
        rec[4] = np.sqrt(np.float32(HALF_LOG2E) / yy)
        rec[5] = log2o
        rec[6], rec[7], rec[8] = colors[i, 0], colors[i, 1], colors[i, 2]
        rec[9] = z
        rec[10] = reach * np.sqrt(xx)
        rec[11] = reach * np.sqrt(yy)


@njit
def project_backward(
    start, stop, means, quats, scales, opacities, V, camera, records, first_slot, slots, geometry,
    v_means, v_quats, v_scales, v_opacities, v_colors,
):  # fmt: skip
    """Sum the slots of splats [start, stop) and turn them into gradients of the parameters.

    Args:
        first_slot: (N + 1,) start of each splat's rows in `slots`.
        slots: (S, 10) sums over pixels of g, g dx, g dy, g dx^2, g dx dy, g dy^2 (g = alpha dL/dalpha,
            d = pixel - centre) and of dL/dr, dL/dg, dL/db, dL/dz.
        geometry: whether anything but colours is wanted.
        v_*: outputs, as the parameters.
    """
    fx, fy = camera[0], camera[1]
    R = np.empty((3, 3), np.float32)
    F = np.empty((2, 3), np.float32)
    A = np.empty((2, 3), np.float32)
    vF = np.empty((2, 3), np.float32)
    vA = np.empty((2, 3), np.float32)
    vR = np.empty((3, 3), np.float32)
    s = np.empty(10, np.float32)
    two = np.float32(2)
    for i in range(start, stop):
        s[:] = 0
        for j in range(first_slot[i], first_slot[i + 1]):
            for c in range(10):
                s[c] += slots[j, c]
        v_colors[i, 0], v_colors[i, 1], v_colors[i, 2] = s[6], s[7], s[8]
        if not geometry:
            continue
        if first_slot[i] == first_slot[i + 1]:
            v_opacities[i] = 0
            v_means[i, :] = 0
            v_quats[i, :] = 0
            v_scales[i, :] = 0
            continue
        v_opacities[i] = s[0] / opacities[i]
        x, y, z = _camera_point(means[i], V)
        inv_norm = _rotation(quats[i], R)
        rz = np.float32(1) / z
        u, v = x * rz, y * rz
        gx = -min(max(u, camera[4]), camera[5])
        gy = -min(max(v, camera[6]), camera[7])
        jx, jy = fx * rz, fy * rz
        for k in range(3):
            A[0, k] = jx * (V[0, k] + gx * V[2, k])
            A[1, k] = jy * (V[1, k] + gy * V[2, k])
        for k in range(3):
            F[0, k] = (A[0, 0] * R[0, k] + A[0, 1] * R[1, k] + A[0, 2] * R[2, k]) * scales[i, k]
            F[1, k] = (A[1, 0] * R[0, k] + A[1, 1] * R[1, k] + A[1, 2] * R[2, k]) * scales[i, k]
        # Inverse covariance, from the record's sum of squares.
        k_ = records[i, 2]
        pxx = records[i, 3] * records[i, 3] / np.float32(HALF_LOG2E)
        pxy = -k_ * pxx
        pyy = records[i, 4] * records[i, 4] / np.float32(HALF_LOG2E) - k_ * pxy
        # dL/dcentre = P sum(g d); dL/dF = P sum(g d d') P F.
        v_mx = pxx * s[1] + pxy * s[2]
        v_my = pxy * s[1] + pyy * s[2]
        q00 = pxx * s[3] + pxy * s[4]
        q01 = pxx * s[4] + pxy * s[5]
        q10 = pxy * s[3] + pyy * s[4]
        q11 = pxy * s[4] + pyy * s[5]
        g00 = q00 * pxx + q01 * pxy
        g01 = q00 * pxy + q01 * pyy
        g11 = q10 * pxy + q11 * pyy
        for k in range(3):
            vF[0, k] = g00 * F[0, k] + g01 * F[1, k]
            vF[1, k] = g01 * F[0, k] + g11 * F[1, k]
        for k in range(3):
            vA[0, k] = 0
            vA[1, k] = 0
        for k in range(3):
            sk = scales[i, k]
            vs = np.float32(0)
            for r in range(3):
                m = A[0, r] * vF[0, k] + A[1, r] * vF[1, k]
                vs += R[r, k] * m
                vR[r, k] = m * sk
                vA[0, r] += vF[0, k] * R[r, k] * sk
                vA[1, r] += vF[1, k] * R[r, k] * sk
            v_scales[i, k] = vs
        # dL/dJ for the four entries of J that are not zero.
        vj00 = vA[0, 0] * V[0, 0] + vA[0, 1] * V[0, 1] + vA[0, 2] * V[0, 2]
        vj02 = vA[0, 0] * V[2, 0] + vA[0, 1] * V[2, 1] + vA[0, 2] * V[2, 2]
        vj11 = vA[1, 0] * V[1, 0] + vA[1, 1] * V[1, 1] + vA[1, 2] * V[1, 2]
        vj12 = vA[1, 0] * V[2, 0] + vA[1, 1] * V[2, 1] + vA[1, 2] * V[2, 2]
        # J = (jx, 0, jx gx; 0, jy, jy gy) with jx = fx / z and gx = -clamp(x / z).
        v_u, v_v = fx * v_mx, fy * v_my
        if u >= camera[4] and u <= camera[5]:
            v_u -= jx * vj02
        if v >= camera[6] and v <= camera[7]:
            v_v -= jy * vj12
        v_rz = fx * (vj00 + gx * vj02) + fy * (vj11 + gy * vj12) + v_u * x + v_v * y
        vx, vy = v_u * rz, v_v * rz
        vz = s[9] - v_rz * rz * rz
        for k in range(3):
            v_means[i, k] = V[0, k] * vx + V[1, k] * vy + V[2, k] * vz
        w, x, y, z = (
            quats[i, 0] * inv_norm,
            quats[i, 1] * inv_norm,
            quats[i, 2] * inv_norm,
            quats[i, 3] * inv_norm,
        )
        vw = two * (x * (vR[2, 1] - vR[1, 2]) + y * (vR[0, 2] - vR[2, 0]) + z * (vR[1, 0] - vR[0, 1]))
        vqx = two * (
            y * (vR[1, 0] + vR[0, 1]) + z * (vR[2, 0] + vR[0, 2]) + w * (vR[2, 1] - vR[1, 2])
            - two * x * (vR[1, 1] + vR[2, 2])
        )  # fmt: skip
        vqy = two * (
            x * (vR[1, 0] + vR[0, 1]) + z * (vR[2, 1] + vR[1, 2]) + w * (vR[0, 2] - vR[2, 0])
            - two * y * (vR[0, 0] + vR[2, 2])
        )  # fmt: skip
        vqz = two * (
            x * (vR[2, 0] + vR[0, 2]) + y * (vR[2, 1] + vR[1, 2]) + w * (vR[1, 0] - vR[0, 1])
            - two * z * (vR[0, 0] + vR[1, 1])
        )  # fmt: skip
        along = vw * w + vqx * x + vqy * y + vqz * z
        v_quats[i, 0] = (vw - along * w) * inv_norm
        v_quats[i, 1] = (vqx - along * x) * inv_norm
        v_quats[i, 2] = (vqy - along * y) * inv_norm
        v_quats[i, 3] = (vqz - along * z) * inv_norm
