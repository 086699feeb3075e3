"""Finding the ramps that a depth network draws over occlusion edges, along rows and columns.

On any plane inverse depth w is affine in the pixel position, so a floor, a slanted wall and a crease continue what
lies beside them. A ramp does not: within a few pixels log depth rises steeply and settles again, and what the two sides
continue to at its middle lies far apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinescape.jit import njit, run_chunks

_ROWS = 64
_REACH = 10
_BEYOND = 8
"""Pixels past the reach of a ramp that are looked at."""

_TAIL = 3
_WINDOW = 3
_PEAK = 0.02
_CORE = 0.2
_FAINT = 0.008
_SETTLED = 0.006
_JUMP = 0.05
_STEEP = 0.02
_STEEP_PLANE = 0.035
_FLOATS = 0.03
_FLOATS_SHARP = 0.1
_OVER_SIDES = 2.0
_OVER_NOISE = 8.0
_RIM_PULL = 1.1
_MOST = 2.0
"""An extrapolated side stays within this factor of the inverse depth where it was last seen."""


class Ramps(NamedTuple):
    """Pixels on ramps, each (H, W).

    Attributes:
        length: steps from one clean side to the other, 0 off the ramps.
        near, far: inverse depth of the two sides, continued to the pixel; equal at the rim of the sky.
        share: how far along the pixel's log depth is, 0 near to 1 far.
    """

    length: NDArray[np.int16]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    share: NDArray[np.float32]


def find_ramps(w_hw: NDArray[np.float32], pixel: float) -> Ramps:
    """Find ramps between two smooth surfaces, and the rims of surfaces that are drawn towards the sky behind.

    A step between two neighbours is clean and no ramp. Where a row and a column both cross a ramp, the shorter way
    decides.

    Args:
        w_hw: (H, W) inverse depth, finite, 0 for sky.
        pixel: width in pixels of what the network that drew the depth resolves, at least 1.
    """
    length = np.zeros(w_hw.shape, np.int16)
    near, far, share = (np.zeros(w_hw.shape, np.float32) for _ in range(3))
    ramps = Ramps(length, near, far, share)
    with np.errstate(divide="ignore"):
        log_z = -np.log(w_hw)
    across, along = (np.zeros(w_hw.shape, bool) for _ in range(2))
    run_chunks(_mark_steep, len(w_hw), log_z, _PEAK / pixel, across, along, smallest=_ROWS)
    for axis, steep in enumerate((across, along)):
        lines, at = _by_line(steep, axis)
        _scan_lines(lines, at, axis, w_hw, log_z, pixel, tuple(ramps))
    return ramps


@njit
def _mark_steep(start, stop, log_z, peak, across, along):  # type: ignore[no-untyped-def]
    """Mark in rows start <= i < stop the steps to the next row and to the next column where a ramp may be steepest."""
    h, n = log_z.shape
    for i in range(start, stop):
        if i < h - 1:
            for j in range(n):
                across[i, j] = peak <= abs(log_z[i + 1, j] - log_z[i, j]) < np.inf
        for j in range(n - 1):
            along[i, j] = peak <= abs(log_z[i, j + 1] - log_z[i, j]) < np.inf


def _by_line(steep_hw: NDArray[np.bool_], axis: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The line and the place in it of every marked pixel, line by line; columns are lines for axis 0, rows for 1."""
    y, x = np.divmod(np.flatnonzero(steep_hw), max(steep_hw.shape[1], 1))
    if axis == 1:
        return y, x
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


@njit
def _scan_lines(lines, at, axis, w_hw, log_z_hw, pixel, ramps):  # type: ignore[no-untyped-def]
    """Scan for ramps from near to far around the steep steps from `at` of `lines`, forwards and backwards."""
    first = 0
    while first < len(lines):
        line, end = lines[first], first
        while end < len(lines) and lines[end] == line:
            end += 1
        for way in (1, -1):
            # Views with a step that is not known before: one type for rows and columns, forwards and backwards.
            w = w_hw[::way, line] if axis == 0 else w_hw[line, ::way]
            log_z = log_z_hw[::way, line] if axis == 0 else log_z_hw[line, ::way]
            _scan_line(w, log_z, at[first:end], line, axis, way < 0, pixel, ramps)
        first = end


@njit
def _scan_line(w, log_z, at, line, axis, backwards, pixel, ramps):  # type: ignore[no-untyped-def]
    reach = round(_REACH * pixel)
    done = 0
    for k in range(len(at)):
        i = len(w) - 2 - at[len(at) - 1 - k] if backwards else at[k]
        if i < done or log_z[i + 1] < log_z[i]:
            continue
        low, high = _surface(w, i, round(_WINDOW * pixel) + 2)
        if not _is_peak(log_z, i, low, high, pixel):
            continue
        low, high = _surface(w, i, reach + _BEYOND)
        done = max(done, _scan_step(w, log_z, i, low, high, line, axis, backwards, pixel, ramps))


@njit
def _surface(w, i, most):  # type: ignore[no-untyped-def]
    """Ends low <= i < high of the surface around i, between sky or the ends of the line, or `most` pixels away."""
    low, high = i, i + 1
    while low > 0 and w[low - 1] > 0 and i - low < most:
        low -= 1
    while high < len(w) and w[high] > 0 and high - i < most:
        high += 1
    return low, high


@njit
def _scan_step(w, log_z, i, low, high, line, axis, backwards, pixel, ramps):  # type: ignore[no-untyped-def]
    """Note the ramp whose steepest step is the one from i to i + 1, if there is one; returns where to go on."""
    reach = round(_REACH * pixel)
    a, b = _core(log_z, i, low, high, reach)
    core = b - a
    after = b
    rim = b == high - 1 and high < len(w)
    if core > reach:
        return i + 1
    a, b = _with_tails(w, log_z, a, b, low, high, pixel)
    if (b - a == 1 and not rim) or a == low or (b == high - 1 and not rim):
        return i + 1  # clean, or one of the sides is not seen
    before = _slope(w, a, -1, low, high)
    behind = 0.0 if rim else _slope(w, b, 1, low, high)
    if np.log(w[a] / w[b]) < _OVER_NOISE * min(
        _roughness(w, a, -1, low, high), _roughness(w, b, 1, low, high)
    ):
        return i + 1
    rim = rim and _is_pulled(w, a, b, before, reach)
    if not rim and not _is_jump(w, a, b, before, behind, core, pixel):
        return i + 1
    _note(w, log_z, a, b, before, behind, rim, line, axis, backwards, ramps)
    return max(i + 1, after)


@njit
def _is_peak(log_z, i, low, high, pixel):  # type: ignore[no-untyped-def]
    """Whether the step from i to i + 1 is the steepest of the slope around it; the first one of equals."""
    window = round(_WINDOW * pixel)
    peak = log_z[i + 1] - log_z[i]
    for k in range(i + 1, min(i + 1 + window, high - 1)):
        step = log_z[k + 1] - log_z[k]
        if step <= 0:
            break
        if step > peak:
            return False
    for k in range(i - 1, max(i - 1 - window, low - 1), -1):
        step = log_z[k + 1] - log_z[k]
        if step <= 0:
            break
        if step >= peak:
            return False
    return True


@njit
def _core(log_z, i, low, high, reach):  # type: ignore[no-untyped-def]
    """Ends of the steps around i that are steep beside the one at i; more than `reach` apart when there is no end."""
    least = _CORE * (log_z[i + 1] - log_z[i])
    a, b = i, i + 1
    while a > low and b - a <= reach and log_z[a] - log_z[a - 1] >= least:
        a -= 1
    while b < high - 1 and b - a <= reach and log_z[b + 1] - log_z[b] >= least:
        b += 1
    return a, b


@njit
def _with_tails(w, log_z, a, b, low, high, pixel):  # type: ignore[no-untyped-def]
    """Move the ends out while the slope still fades; inverse depth that goes on evenly is a surface."""
    tail, reach = round(_TAIL * pixel), round(_REACH * pixel)
    faint, settled = _FAINT / pixel, _SETTLED / pixel
    for _ in range(tail):
        step = log_z[a] - log_z[a - 1] if a > low else 0.0
        if b - a >= reach or step < faint or step >= log_z[a + 1] - log_z[a]:
            break
        if a - 1 > low and abs(w[a] - 2 * w[a - 1] + w[a - 2]) <= settled * w[a - 1]:
            break
        a -= 1
    for _ in range(tail):
        step = log_z[b + 1] - log_z[b] if b < high - 1 else 0.0
        if b - a >= reach or step < faint or step >= log_z[b] - log_z[b - 1]:
            break
        if b + 1 < high - 1 and abs(w[b] - 2 * w[b + 1] + w[b + 2]) <= settled * w[b + 1]:
            break
        b += 1
    return a, b


@njit
def _slope(w, end, way, low, high):  # type: ignore[no-untyped-def]
    """Change of w per pixel of the surface that begins at a ramp's end and goes on `way` (1 far side, -1 near side).

    The median of three steps that agree. Steps that do not, but go on the ramp's way, are a steep floor with noise:
    the flattest. Others are a pole or a gap: 0.
    """
    last = end + 3 * way
    if last < low or last >= high:
        return 0.0
    first, second, third = w[end + way] - w[end], w[end + 2 * way] - w[end + way], w[last] - w[end + 2 * way]
    least, most = min(first, second, third), max(first, second, third)
    if most - least <= 4 * _SETTLED * w[end]:
        return first + second + third - least - most
    if way < 0:
        return max(least, 0.0)
    return min(most, 0.0)


@njit
def _roughness(w, end, way, low, high):  # type: ignore[no-untyped-def]
    """Largest bend of w, relative to w, at the three pixels that follow a ramp's end, going `way`."""
    rough = 0.0
    for k in range(1, 4):
        i = end + k * way
        if i <= low or i >= high - 1:
            break
        rough = max(rough, abs(w[i - 1] - 2 * w[i] + w[i + 1]) / w[i])
    return rough


@njit
def _continued(w_end, slope, steps):  # type: ignore[no-untyped-def]
    return min(max(w_end - slope * steps, w_end / _MOST), w_end * _MOST)


@njit
def _is_pulled(w, a, b, before, reach):  # type: ignore[no-untyped-def]
    """Whether the last pixels before the sky leave their surface, few enough to be half a ramp."""
    return b - a <= reach // 2 + 1 and w[a] - before * (b - a) >= _RIM_PULL * w[b]


@njit
def _is_jump(w, a, b, before, behind, core, pixel):  # type: ignore[no-untyped-def]
    """Whether neither side explains the ramp, and it is steeper than any surface that is not seen edge-on."""
    middle = 0.5 * (b - a)
    near, far = w[a] - before * middle, w[b] - behind * middle
    if near <= 0 or far <= 0:
        return False
    steep = _STEEP_PLANE if _is_plane(w, a, b, pixel) else _STEEP
    if 1 - far / near < max(_JUMP, steep * core / pixel):
        return False
    if w[a] - w[b] < _OVER_SIDES * (b - a) * max(abs(before), abs(behind)):
        return False
    least = _FLOATS_SHARP if core == 1 else _FLOATS
    for i in range(a + 1, b):
        over_far = np.log(w[i] / _continued(w[b], behind, b - i))
        under_near = np.log(_continued(w[a], before, i - a) / w[i])
        if min(over_far, under_near) >= least:
            return True
    return False


@njit
def _is_plane(w, a, b, pixel):  # type: ignore[no-untyped-def]
    """Whether the ramp is straight in inverse depth, as a narrow strip of wall or the top of a box is."""
    if b - a < 5:
        return False
    bend = 0.0
    for i in range(a + 2, b - 1):
        bend = max(bend, abs(w[i - 1] - 2 * w[i] + w[i + 1]) / w[i])
    return bend <= _SETTLED / pixel


@njit
def _note(w, log_z, a, b, before, behind, rim, line, axis, backwards, ramps):  # type: ignore[no-untyped-def]
    """Write down the pixels between a and b, and b too where the sky follows."""
    length, nears, fars, shares = ramps
    for i in range(a + 1, b + 1 if rim else b):
        at = len(w) - 1 - i if backwards else i
        y, x = (at, line) if axis == 0 else (line, at)
        if 0 < length[y, x] <= b - a:
            continue
        near = _continued(w[a], before, i - a)
        far = near if rim else _continued(w[b], behind, b - i)
        length[y, x] = b - a
        nears[y, x], fars[y, x] = near, far
        shares[y, x] = 0 if rim else (log_z[i] - log_z[a]) / (log_z[b] - log_z[a])
