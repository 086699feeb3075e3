"""Fixed-width float32 vectors inside numba kernels.

Numba leaves vectorisation to LLVM's loop analysis, which loses one kernel or another on every CPU. These
types lower straight to LLVM vectors instead: an operation on them is one instruction wherever the
hardware has the width, and is split into narrower ones where it has not. Every operator rounds once, as
in C; `fma` is explicit, so results do not depend on what an optimiser chose to fuse.

Numba's cache does not notice edits here: after changing this file, touch the files that use it.
"""

# Numba reads an intrinsic's arguments off its signature.
# ruff: noqa: ARG001

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic as untyped_intrinsic
from numba.extending import lower_builtin, models, register_model

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Two 256-bit halves cost AVX2 its registers: 16 lanes are 40 % slower there than 8."""


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's decorator, with the type that kernels see: the typing context is not theirs to pass."""
    return untyped_intrinsic(function)


_F32, _I32 = ir.FloatType(), ir.IntType(32)
_FV, _IV, _BV = (ir.VectorType(t, LANES) for t in (_F32, _I32, ir.IntType(1)))


class _VecType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Vec{LANES}")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


vec, mask = _VecType(), _MaskType()


@register_model(_VecType)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _FV)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _BV)


# --- arithmetic -----------------------------------------------------------------------------------


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FV, [value] * LANES)


def _integers(value: int) -> ir.Constant:
    return ir.Constant(_IV, [value] * LANES)


def _llvm(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_FV, [_FV] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, args)


def _operator(
    op: Any, operands: tuple[types.Type, ...], result: types.Type, emit: Callable[..., Any]
) -> None:
    """Give an operator a meaning for these operands."""

    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(result, *operands) if tuple(args) == operands and not kws else None

    infer_global(op)(_Template)

    @lower_builtin(op, *operands)
    def _lower(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return emit(builder, *args)


_operator(operator.neg, (vec,), vec, lambda b, x: b.fneg(x))
_operator(operator.add, (vec, vec), vec, lambda b, x, y: b.fadd(x, y))
_operator(operator.sub, (vec, vec), vec, lambda b, x, y: b.fsub(x, y))
_operator(operator.mul, (vec, vec), vec, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, (vec, vec), vec, lambda b, x, y: b.fdiv(x, y))
_operator(operator.ge, (vec, vec), mask, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_operator(operator.gt, (vec, vec), mask, lambda b, x, y: b.fcmp_ordered(">", x, y))
_operator(operator.and_, (mask, mask), mask, lambda b, x, y: b.and_(x, y))


def _function(arity: int, emit: Callable[..., Any], doc: str) -> Any:
    """Make a function of `arity` vectors that kernels can call."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return emit(builder, *args)

    if arity == 1:

        @intrinsic
        def one(_typingctx: Any, a: Any) -> Any:
            return vec(vec), codegen

        one.__doc__ = doc
        return one
    if arity == 2:

        @intrinsic
        def two(_typingctx: Any, a: Any, b: Any) -> Any:
            return vec(vec, vec), codegen

        two.__doc__ = doc
        return two

    @intrinsic
    def three(_typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return vec(vec, vec, vec), codegen

    three.__doc__ = doc
    return three


def _emit_min(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _emit_max(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _emit_negative_abs(builder: Any, a: Any) -> Any:
    return builder.bitcast(builder.or_(builder.bitcast(a, _IV), _integers(-(2**31))), _FV)


def _emit_reciprocal(builder: Any, a: Any) -> Any:
    return builder.fdiv(_constant(1.0), a, flags=("arcp", "contract", "nsz", "nnan", "ninf"))


def _horner(builder: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    value = _constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        value = _llvm(builder, "fma", value, x, _constant(c))
    return value


# Minimax polynomial of 2^f on [-1/2, 1/2] that is exact at 0; relative error 1.1e-7.
_EXP2 = (1.0, 0.69314698, 0.24022242, 0.05550734, 0.00967151, 0.00132647)
_ROUND = 1.5 * 2.0**23


def _emit_exp2(builder: Any, a: Any) -> Any:
    shifted = builder.fadd(a, _constant(_ROUND))  # its low bits hold round(a)
    fraction = builder.fsub(a, builder.fsub(shifted, _constant(_ROUND)))
    value = _horner(builder, _EXP2, fraction)
    exponent = builder.shl(builder.bitcast(shifted, _IV), _integers(23))
    return builder.bitcast(builder.add(builder.bitcast(value, _IV), exponent), _FV)


# Minimax polynomial of log2(1 + t) / t on [sqrt(1/2) - 1, sqrt(2) - 1]; the logarithm's error is below 6e-8.
_LOG2 = (1.44269478, -0.72135717, 0.48093945, -0.36008719, 0.28670752, -0.25006932, 0.23688991, -0.14574306)
_SQRT_HALF_BITS = 0x3F3504F3


def _emit_log2(builder: Any, a: Any) -> Any:
    bits = builder.sub(builder.bitcast(a, _IV), _integers(_SQRT_HALF_BITS))
    exponent = builder.ashr(bits, _integers(23))
    mantissa = builder.sub(builder.bitcast(a, _IV), builder.shl(exponent, _integers(23)))
    t = builder.fsub(builder.bitcast(mantissa, _FV), _constant(1.0))
    return _llvm(builder, "fma", t, _horner(builder, _LOG2, t), builder.sitofp(exponent, _FV))


fma = _function(3, lambda b, x, y, z: _llvm(b, "fma", x, y, z), "x y + z, rounded once.")
sqrt = _function(1, lambda b, x: _llvm(b, "sqrt", x), "Square root.")
floor = _function(1, lambda b, x: _llvm(b, "floor", x), "Largest integer that is not above.")
ceil = _function(1, lambda b, x: _llvm(b, "ceil", x), "Smallest integer that is not below.")
minimum = _function(2, _emit_min, "The smaller per lane; the second where either is not a number.")
maximum = _function(2, _emit_max, "The larger per lane; the second where either is not a number.")
negative_abs = _function(1, _emit_negative_abs, "-|a|.")
reciprocal = _function(
    1, _emit_reciprocal, "1 / a, by the hardware's estimate and a Newton step where it has one."
)
exp2 = _function(1, _emit_exp2, "2^a for -126 < a < 128; anything else gives garbage, to be selected away.")
log2 = _function(1, _emit_log2, "log2 of a positive normal number; anything else gives garbage.")


@intrinsic
def splat(_typingctx: Any, scalar: Any) -> Any:
    """A vector of equal float32 numbers."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        one = builder.insert_element(ir.Constant(_FV, ir.Undefined), args[0], ir.Constant(_I32, 0))
        return builder.shuffle_vector(one, one, _integers(0))

    return vec(types.float32), codegen


@intrinsic
def lane_columns(_typingctx: Any) -> Any:
    """0 ... 7, once per eight lanes: the column of each pixel of a vector that is eight pixels wide."""

    def codegen(_context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(_FV, [float(i % 8) for i in range(LANES)])

    return vec(), codegen


@intrinsic
def lane_rows(_typingctx: Any) -> Any:
    """The row of each pixel of a vector that is eight pixels wide."""

    def codegen(_context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(_FV, [float(i // 8) for i in range(LANES)])

    return vec(), codegen


@intrinsic
def select(_typingctx: Any, condition: Any, if_true: Any, if_false: Any) -> Any:
    """Choose per lane."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return vec(mask, vec, vec), codegen


@intrinsic
def any_lane(_typingctx: Any, condition: Any) -> Any:
    """Whether any lane is true."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        bits = ir.IntType(LANES)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), ir.Constant(bits, 0))

    return types.boolean(mask), codegen


# --- memory ---------------------------------------------------------------------------------------


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def load(_typingctx: Any, array: Any, index: Any) -> Any:
    """LANES numbers of a flat contiguous float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], *args)
        return builder.load(builder.bitcast(where, _FV.as_pointer()), align=4)

    return vec(array, types.int64), codegen


@intrinsic
def store(_typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write LANES numbers to a flat contiguous float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], *args[:2])
        builder.store(args[2], builder.bitcast(where, _FV.as_pointer()), align=4)

    return types.void(array, types.int64, vec), codegen


@intrinsic
def load_strided(_typingctx: Any, array: Any, index: Any, stride: Any) -> Any:
    """LANES numbers of a flat float32 array, `stride` apart."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], *args[:2])
        value = ir.Constant(_FV, ir.Undefined)
        for i in range(LANES):
            offset = builder.mul(args[2], ir.Constant(args[2].type, i))
            value = builder.insert_element(
                value, builder.load(builder.gep(where, [offset])), ir.Constant(_I32, i)
            )
        return value

    return vec(array, types.int64, types.int64), codegen


@intrinsic
def store_strided(_typingctx: Any, array: Any, index: Any, stride: Any, value: Any) -> Any:
    """Write LANES numbers to a flat array, `stride` apart; whole numbers if the array holds integers."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], *args[:2])
        value = args[3]
        if isinstance(sig.args[0].dtype, types.Integer):
            value = builder.fptosi(value, _IV)
        for i in range(LANES):
            lane = builder.extract_element(value, ir.Constant(_I32, i))
            if lane.type != where.type.pointee:
                lane = builder.trunc(lane, where.type.pointee)
            offset = builder.mul(args[2], ir.Constant(args[2].type, i))
            builder.store(lane, builder.gep(where, [offset]))

    return types.void(array, types.int64, types.int64, vec), codegen


@intrinsic
def prefetch(_typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an element of a flat array; an index past the end is harmless."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], *args)
        where = builder.bitcast(where, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [where.type] + [_I32] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [where, *(ir.Constant(_I32, n) for n in (0, 3, 1))])

    return types.void(array, types.int64), codegen


# --- sums over the lanes --------------------------------------------------------------------------


def _shuffle_add(builder: Any, a: Any, b: Any, first: list[int], second: list[int]) -> Any:
    picks = [builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 8), m)) for m in (first, second)]
    return builder.fadd(*picks)


def _sums_of_eight(builder: Any, values: list[Any]) -> Any:
    """Sums over the lanes of up to eight 8-lane vectors as one such vector: transpose and add by pairs."""
    even = [0, 2, 8, 10, 4, 6, 12, 14]
    odd = [i + 1 for i in even]
    for _ in range(2):
        pairs = [(values[i], values[min(i + 1, len(values) - 1)]) for i in range(0, len(values), 2)]
        values = [_shuffle_add(builder, a, b, even, odd) for a, b in pairs]
    low = [0, 1, 2, 3, 8, 9, 10, 11]
    return _shuffle_add(builder, values[0], values[-1], low, [i + 4 for i in low])


def _folded(builder: Any, value: Any) -> Any:
    """Fold a vector to eight lanes."""
    if LANES == 8:
        return value
    return _shuffle_add(builder, value, value, list(range(8)), list(range(8, 16)))


@intrinsic
def store_sums(_typingctx: Any, array: Any, index: Any, values: Any) -> Any:
    """Write the lane sums of each vector of a tuple to consecutive places of a flat float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vectors = [_folded(builder, v) for v in cgutils.unpack_tuple(builder, args[2], len(sig.args[2]))]
        start = _pointer(context, builder, sig.args[0], *args[:2])
        for first in range(0, len(vectors), 8):
            part = vectors[first : first + 8]
            sums = _sums_of_eight(builder, part)
            where = builder.gep(start, [ir.Constant(_I32, first)])
            if len(part) == 8:
                builder.store(sums, builder.bitcast(where, ir.VectorType(_F32, 8).as_pointer()), align=4)
                continue
            for i in range(len(part)):
                lane = builder.extract_element(sums, ir.Constant(_I32, i))
                builder.store(lane, builder.gep(where, [ir.Constant(_I32, i)]))

    return types.void(array, types.int64, values), codegen
