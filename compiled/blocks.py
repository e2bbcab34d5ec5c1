"""Loops over vectors of 16 numbers, written in LLVM's instructions: what Numba alone does not make.

A convolution of three channels, or a layer that acts for a handful of environments, is too small
for what general libraries are built for. All such products run through `block_product`: it holds a
block of the result in registers, at nine tenths of the speed of large matrix products.
"""

import platform
from collections.abc import Callable
from typing import Any

import torch
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from compiled.cache import kernel

LANES = 16  # float32 numbers that are multiplied at once
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_PAIRS = ir.VectorType(ir.IntType(32), LANES)  # of bfloat16
_SIZE = ir.IntType(64)

# AVX-512 has 32 registers of 16 numbers, AVX2 has 16 of 8. Processors of ARM have 32 of 4.
WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"
# Without AVX2 an x86 processor may lack the instruction that multiplies and adds at once.
SUPPORTED = torch.backends.cpu.get_cpu_capability() != "DEFAULT" or platform.machine() in (
    "aarch64",
    "arm64",
)
# Whether it multiplies pairs of bfloat16 numbers, an extension of AVX-512: twice as fast.
HAS_BFLOAT16 = WIDE and get_host_cpu_features().get("avx512bf16", False)


def block_product(count: int, vectors: int) -> Callable[..., None]:
    """Compile a product whose result, `count` rows of `vectors` * 16 numbers, stays in registers.

    The result's row p is, with c = 0 .. 16 * vectors - 1 and all arrays flat,

        out[o + p * o_step + c] = start[s + p * s_step + c]
            + sum_{i < rows} sum_{j < cols} x[at + p * x_step + i * x_row + j * x_col]
                                            * y[i * y_row + j * 16 * vectors + c + y_at]

    Every sum over a convolution's kernel, its outputs or its images is of this form.

    x and y are float32, or both uint32: then each entry is a pair of bfloat16 numbers, and x * y is
    their dot product. out and start are float32 in any case.
    """

    @intrinsic
    def product(  # type: ignore[no-untyped-def]
        typing_context,
        out, o, o_step, start, s, s_step,
        x, at, x_step, x_row, x_col,
        y, y_at, y_row,
        rows, cols,
    ):  # fmt: skip
        n = types.int64
        signature = types.void(out, n, n, start, n, n, x, n, n, n, n, y, n, n, n, n)
        of_pairs = y.dtype == types.uint32
        factors_type = _PAIRS if of_pairs else _VECTOR

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def data(index: int) -> Any:
                array = make_array(signature.args[index])
                return array(context, builder, arguments[index]).data

            def vector_at(base: Any, offset: Any, kind: Any = _VECTOR) -> Any:
                return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())

            def load(base: Any, offset: Any, kind: Any = _VECTOR) -> Any:
                value = builder.load(vector_at(base, offset, kind))
                value.align = 4
                return value

            def multiple(step: Any, times: Any, offset: Any) -> Any:
                if isinstance(times, int):
                    times = ir.Constant(_SIZE, times)
                return builder.add(offset, builder.mul(step, times))

            out_data, start_data, x_data, y_data = (data(k) for k in (0, 3, 6, 11))
            o, o_step, s, s_step = (arguments[k] for k in (1, 2, 4, 5))
            at, x_step, x_row, x_col, y_at, y_row, rows, cols = (
                arguments[k] for k in (7, 8, 9, 10, 12, 13, 14, 15)
            )
            width = ir.Constant(_SIZE, LANES)
            undefined = ir.Constant(factors_type, ir.Undefined)
            first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

            def multiply_add(number: Any, factor: Any, total: Any) -> Any:
                arguments = [number, factor, total]
                name = "llvm.fma.v16f32"
                if of_pairs:
                    arguments = [total, factor, number]
                    name = "llvm.x86.avx512bf16.dpbf16ps.512"
                function = ir.FunctionType(_VECTOR, [a.type for a in arguments])
                called = cgutils.get_or_insert_function(builder.module, function, name)
                return builder.call(called, arguments)

            block = [(p, v) for p in range(count) for v in range(vectors)]
            sums = {}  # variables that the compiler turns into registers
            for p, v in block:
                sums[p, v] = cgutils.alloca_once(builder, _VECTOR)
                offset = multiple(width, v, multiple(s_step, p, s))
                builder.store(load(start_data, offset), sums[p, v])
            with cgutils.for_range(builder, rows) as row, cgutils.for_range(builder, cols) as col:
                x_offset = multiple(x_col, col.index, multiple(x_row, row.index, at))
                y_offset = multiple(y_row, row.index, y_at)
                y_offset = multiple(ir.Constant(_SIZE, LANES * vectors), col.index, y_offset)
                factors = [
                    load(y_data, multiple(width, v, y_offset), factors_type) for v in range(vectors)
                ]
                for p in range(count):
                    number = builder.load(builder.gep(x_data, [multiple(x_step, p, x_offset)]))
                    number = builder.insert_element(
                        undefined, number, ir.Constant(ir.IntType(32), 0)
                    )
                    number = builder.shuffle_vector(number, undefined, first)  # in all lanes
                    for v in range(vectors):
                        total = multiply_add(number, factors[v], builder.load(sums[p, v]))
                        builder.store(total, sums[p, v])
            for p, v in block:
                offset = multiple(width, v, multiple(o_step, p, o))
                stored = builder.store(builder.load(sums[p, v]), vector_at(out_data, offset))
                stored.align = 4
            return context.get_dummy_value()

        return signature, generate

    return product


@intrinsic
def transpose(typing_context, x, at, step, out, o, out_step):  # type: ignore[no-untyped-def]
    """out[o + j * out_step + i] = x[at + i * step + j] for i, j = 0 .. 15; both flat, float32."""
    n = types.int64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x_data, out_data = (
            make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3)
        )
        at, step, o, out_step = (arguments[k] for k in (1, 2, 4, 5))

        def row(data: Any, offset: Any, step: Any, index: int) -> Any:
            offset = builder.add(offset, builder.mul(step, ir.Constant(_SIZE, index)))
            return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())

        rows = []
        for i in range(LANES):
            loaded = builder.load(row(x_data, at, step, i))
            loaded.align = 4
            rows.append(loaded)
        # Exchange the quarters beside the diagonal: of the whole, then of each quarter, and so on.
        for d in (8, 4, 2, 1):
            upper = [j if not j & d else LANES + j - d for j in range(LANES)]
            lower = [j + d if not j & d else LANES + j for j in range(LANES)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), m) for m in (upper, lower)]
            for i in range(LANES):
                if not i & d:
                    pair = rows[i], rows[i + d]
                    rows[i], rows[i + d] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        for j in range(LANES):
            stored = builder.store(rows[j], row(out_data, o, out_step, j))
            stored.align = 4
        return context.get_dummy_value()

    return types.void(x, n, n, out, n, n), generate


@intrinsic
def _fetch(typing_context, x, at):  # type: ignore[no-untyped-def]
    """Start to bring x[at], flat, into a core's own cache."""
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    to_read, second_level, data = (ir.Constant(number, n) for n in (0, 2, 1))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = make_array(signature.args[0])(context, builder, arguments[0]).data
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", (pointer,), ir.FunctionType(ir.VoidType(), [pointer, *[number] * 3])
        )
        place = builder.bitcast(builder.gep(numbers, [arguments[1]]), pointer)
        builder.call(function, [place, to_read, second_level, data])
        return context.get_dummy_value()

    return types.void(x, types.int64), generate


@kernel
def fetch(x, part, parts):  # type: ignore[no-untyped-def]
    """Start to bring one of `parts` parts of x into a core's own cache; do not wait for it.

    x: flat, float32. A product that walks through a matrix in columns reads memory in an order
    that processors do not foresee.
    """
    lines = len(x) // LANES
    for line in range(lines * part // parts, lines * (part + 1) // parts):
        _fetch(x, line * LANES)
