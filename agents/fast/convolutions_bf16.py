"""The two convolutions of `convolutions`, with factors rounded to bfloat16: twice as fast.

Sums are float32. The processor multiplies pairs of numbers and adds both products: pairs of
neighbours where a layer sums over its inputs, pairs of images where a gradient sums over images. As
NumPy knows no bfloat16, a pair is a uint32 here, and a single number's bits are a uint16.
"""

import numpy as np

from agents.fast.convolutions import (
    ROW1,
    ROW2,
    add_gradients1,
    add_gradients2,
    input_gradient,
    rectify,
    row1,
    row2,
)
from compiled.blocks import LANES
from compiled.cache import kernel

_ONES = 0x3F803F80  # a pair of ones


@kernel
def _round(numbers, out):  # type: ignore[no-untyped-def]
    """Write float32 numbers as bfloat16, the nearest one; of two as near, the even one."""
    bits = numbers.view(np.uint32)
    for k in range(len(out)):
        out[k] = (bits[k] + 0x7FFF + ((bits[k] >> 16) & 1)) >> 16


@kernel
def _bits(byte):  # type: ignore[no-untyped-def]
    """A byte as a bfloat16 number, which is exact."""
    return np.float32(byte).view(np.uint32) >> 16


@kernel
def _pair(first, second):  # type: ignore[no-untyped-def]
    return np.uint32(first) | (np.uint32(second) << np.uint32(16))


@kernel
def forward(images, weight1, bias1, weight2, bias2, out1, out2):  # type: ignore[no-untyped-def]
    """Both convolutions; as `convolutions.forward`, but that outputs and weights are pairs."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = out2.shape[1:]
    half = (line + 1) // 2
    pixels = np.zeros((height, 2 * half), np.uint16)
    sums1, sums2 = np.empty(2 * line1, np.float32), np.empty(2 * line2, np.float32)
    x, x1 = pixels.reshape(-1).view(np.uint32), out1.reshape(-1)
    for n in range(count):
        for y in range(height):
            for k in range(line):
                pixels[y, k] = _bits(images[n, y, k])
        for i in range(height1):
            for group in range(0, line1 // 8, ROW1):
                j = min(group, line1 // 8 - ROW1)  # the last group may overlap the one before
                row1(sums1, j * 16, 16, bias1, 0, 0,
                      x, 4 * i * half + j * 6, 6, half, 1,
                      weight1, 0, 12 * 16, 8, 12)  # fmt: skip
            rectify(sums1)
            _round(sums1, out1[n, i].view(np.uint16))
        for i in range(height2):
            for group in range(0, line2 // 16, ROW2):
                j = min(group, line2 // 16 - ROW2)
                row2(sums2, j * 32, 32, bias2, 0, 0,
                      x1, (n * height1 + 2 * i) * line1 + 2 * j * 8, 16, line1, 1,
                      weight2, 0, 32 * 32, 4, 32)  # fmt: skip
            rectify(sums2)
            _round(sums2, out2[n, i].view(np.uint16))


@kernel
def _couple(a, b, out):  # type: ignore[no-untyped-def]
    """Pair the numbers of two images, [h, w] each."""
    for y in range(a.shape[0]):
        for k in range(a.shape[1]):
            out[y, k] = _pair(a[y, k], b[y, k])


@kernel
def backward(images, out1, grad2, to_inputs, of_weight1, of_bias1, of_weight2, of_bias2):  # type: ignore[no-untyped-def]
    """Their gradients; as `convolutions.backward`, but that the first three arrays are pairs.

    Two images at a time: their numbers at the same place make a pair, and so do their gradients.
    """
    count, height, line = images.shape
    height1, line1 = out1.shape[1], 2 * out1.shape[2]
    height2, line2 = grad2.shape[1], 2 * grad2.shape[2]
    width1, width2 = line1 // 16, line2 // 32
    # A gradient row of the first layer has room for two full groups, of even and of odd columns.
    half = max((width1 + 1) // 2, ROW1)
    columns1 = 2 * half * 16
    pixels = np.empty((height, line), np.uint32)
    coupled1 = np.empty((height1, line1), np.uint32)
    coupled_grad1 = np.empty((height1, columns1), np.uint32)
    coupled_grad2 = np.empty((height2, line2), np.uint32)
    grads1 = np.zeros((2, height1, columns1), np.float32)
    rounded = np.empty((2, columns1), np.uint16)
    framed = np.zeros(((height1 + 1) // 2 + 1, (half + 1) * 16), np.uint32)
    nothing = np.zeros(grad2.shape[1:], np.uint32)
    x, x1 = pixels.reshape(-1), coupled1.reshape(-1)
    g1, g2 = coupled_grad1.reshape(-1), coupled_grad2.reshape(-1)
    zeros, ones = np.zeros(LANES, np.float32), np.full(1, _ONES, np.uint32)
    for n in range(0, count, 2):
        m = min(n + 1, count - 1)  # a last image without a partner: itself, with no gradient
        grad2_n, grad2_m = grad2[n], grad2[m] if m > n else nothing
        one, other = out1[n].view(np.uint16), out1[m].view(np.uint16)
        _couple(one, other, coupled1)
        _couple(grad2_n.view(np.uint16), grad2_m.view(np.uint16), coupled_grad2)
        add_gradients2(x1, line1, g2, line2, height2, ones, of_weight2, of_bias2)
        input_gradient(grad2_n, width2, to_inputs, framed, zeros, grads1[0])
        input_gradient(grad2_m, width2, to_inputs, framed, zeros, grads1[1])
        for y in range(height1):
            _round(grads1[0, y], rounded[0])
            _round(grads1[1, y], rounded[1])
            for k in range(line1):
                first = rounded[0, k] if one[y, k] else np.uint16(0)
                second = rounded[1, k] if other[y, k] else np.uint16(0)
                coupled_grad1[y, k] = _pair(first, second)
        for y in range(height):
            for k in range(line):
                pixels[y, k] = _pair(_bits(images[n, y, k]), _bits(images[m, y, k]))
        add_gradients1(x, line, g1, columns1, height1, width1, ones, of_weight1, of_bias1)
