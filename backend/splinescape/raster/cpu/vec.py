"""Fixed-width float32 vectors inside numba kernels.

Numba leaves vectorisation to LLVM's loop analysis, which loses one kernel or another on every CPU. These types lower
straight to LLVM vectors instead: arithmetic on `Vec` is one instruction per operation wherever the hardware has the
width, and is split into narrower ones where it has not. Numba's cache does not notice edits here: after changing this
file, touch the files that use it.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8

_F32, _I32 = ir.FloatType(), ir.IntType(32)
_FV, _IV, _BV = (ir.VectorType(t, LANES) for t in (_F32, _I32, ir.IntType(1)))
_FUSED = ("contract", "nsz")
"""Multiply-add may fuse; nothing may be reordered, so results do not depend on the optimiser's mood."""


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


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FV, [value] * LANES)


def _integers(value: int) -> ir.Constant:
    return ir.Constant(_IV, [value] * LANES)


def _broadcast(builder: Any, scalar: Any) -> Any:
    one = builder.insert_element(ir.Constant(_FV, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(_IV, [0] * LANES))


def _call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_FV, [_FV] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, args)


def _operator(op: Any, result: types.Type, emit: Any) -> None:
    """Give `op` a meaning for two vectors."""

    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(result, vec, vec) if tuple(args) == (vec, vec) and not kws else None

    infer_global(op)(_Template)

    @lower_builtin(op, _VecType, _VecType)
    def _lower(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return emit(builder, *args)


_operator(operator.add, vec, lambda b, x, y: b.fadd(x, y, flags=_FUSED))
_operator(operator.sub, vec, lambda b, x, y: b.fsub(x, y, flags=_FUSED))
_operator(operator.mul, vec, lambda b, x, y: b.fmul(x, y, flags=_FUSED))
_operator(operator.ge, mask, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_operator(operator.gt, mask, lambda b, x, y: b.fcmp_ordered(">", x, y))


@intrinsic
def splat(_typingctx: Any, scalar: Any) -> Any:
    """A vector of equal float32 numbers."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _broadcast(builder, args[0])

    return vec(types.float32), codegen


@intrinsic
def iota(_typingctx: Any) -> Any:
    """0, 1, 2, ..."""

    def codegen(_context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(_FV, [float(i) for i in range(LANES)])

    return vec(), codegen


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _FV.as_pointer())


@intrinsic
def load(_typingctx: Any, array: Any, index: Any) -> Any:
    """LANES numbers from a flat contiguous float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig.args[0], *args), align=4)

    return vec(array, types.int64), codegen


@intrinsic
def store(_typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write LANES numbers to a flat contiguous float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, sig.args[0], *args[:2]), align=4)

    return types.void(array, types.int64, vec), codegen


@intrinsic
def select(_typingctx: Any, condition: Any, if_true: Any, if_false: Any) -> Any:
    """Choose per lane."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return vec(mask, vec, vec), codegen


@intrinsic
def minimum(_typingctx: Any, a: Any, b: Any) -> Any:
    """The smaller per lane; b where a is not a number."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return vec(vec, vec), codegen


@intrinsic
def negative_abs(_typingctx: Any, a: Any) -> Any:
    """-|a|."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        bits = builder.or_(builder.bitcast(args[0], _IV), _integers(-(2**31)))
        return builder.bitcast(bits, _FV)

    return vec(vec), codegen


@intrinsic
def reciprocal(_typingctx: Any, a: Any) -> Any:
    """1 / a; the compiler may use the hardware's estimate and a Newton step."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.fdiv(_constant(1.0), args[0], flags=("arcp", "contract", "nsz", "nnan", "ninf"))

    return vec(vec), codegen


# Minimax polynomial of 2^f on [-1/2, 1/2] that is exact at 0; relative error 1.1e-7.
_EXP2 = (1.0, 0.69314698, 0.24022242, 0.05550734, 0.00967151, 0.00132647)
_ROUND = 1.5 * 2.0**23


@intrinsic
def exp2(_typingctx: Any, a: Any) -> Any:
    """2^a for -126 < a < 128; anything outside gives garbage, to be selected away."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        shifted = builder.fadd(args[0], _constant(_ROUND))  # its low bits hold round(a)
        fraction = builder.fsub(args[0], builder.fsub(shifted, _constant(_ROUND)))
        value = _constant(_EXP2[-1])
        for c in _EXP2[-2::-1]:
            value = _call(builder, "fma", value, fraction, _constant(c))
        exponent = builder.shl(builder.bitcast(shifted, _IV), _integers(23))
        return builder.bitcast(builder.add(builder.bitcast(value, _IV), exponent), _FV)

    return vec(vec), codegen


@intrinsic
def any_lane(_typingctx: Any, condition: Any) -> Any:
    """Whether any lane is true."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask), codegen


def _shuffle_add(builder: Any, a: Any, b: Any, first: list[int], second: list[int]) -> Any:
    pick = [builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 8), m)) for m in (first, second)]
    return builder.fadd(*pick)


def _sums_of_eight(builder: Any, values: list[Any]) -> Any:
    """Sums over the lanes of up to eight 8-lane vectors, as one 8-lane vector: pairwise adds while transposing."""
    pairs = [0, 2, 8, 10, 4, 6, 12, 14]
    odd = [i + 1 for i in pairs]
    for _ in range(2):
        values = [
            values[i : i + 2] if i + 1 < len(values) else [values[i]] * 2 for i in range(0, len(values), 2)
        ]
        values = [_shuffle_add(builder, a, b, pairs, odd) for a, b in values]
    halves = [0, 1, 2, 3, 8, 9, 10, 11]
    return _shuffle_add(builder, values[0], values[-1], halves, [i + 4 for i in halves])


def _folded(builder: Any, value: Any) -> Any:
    """Fold a vector to 8 lanes."""
    if LANES == 8:
        return value
    kind = ir.VectorType(_I32, 8)
    low, high = (ir.Constant(kind, list(range(i, i + 8))) for i in (0, 8))
    return builder.fadd(builder.shuffle_vector(value, value, low), builder.shuffle_vector(value, value, high))


@intrinsic
def store_sums(_typingctx: Any, array: Any, index: Any, values: Any) -> Any:
    """Write the sum over the lanes of each vector of a tuple to consecutive places of a flat float32 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = len(sig.args[2])
        vectors = [_folded(builder, v) for v in cgutils.unpack_tuple(builder, args[2], count)]
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        for first in range(0, count, 8):
            part = vectors[first : first + 8]
            sums = _sums_of_eight(builder, part)
            where = builder.gep(data, [builder.add(args[1], ir.Constant(args[1].type, first))])
            if len(part) == 8:
                builder.store(sums, builder.bitcast(where, ir.VectorType(_F32, 8).as_pointer()), align=4)
                continue
            for i in range(len(part)):
                lane = builder.extract_element(sums, ir.Constant(_I32, i))
                builder.store(lane, builder.gep(where, [ir.Constant(_I32, i)]))

    return types.void(array, types.int64, values), codegen
