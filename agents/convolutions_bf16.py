"""The two convolutions of `convolutions`, with factors rounded to bfloat16: twice as fast.

Sums are float32. The processor multiplies pairs of numbers and adds both products: pairs of
neighbours where a layer sums over its inputs, pairs of images where a gradient sums over images. As
NumPy knows no bfloat16, a pair is a uint32 here, and a single number's bits are a uint16.
"""

import numpy as np
from numba import njit

from agents.convolutions import ROW1, ROW2, TAPS2
from simd import LANES, block_product

_ONES = 0x3F803F80  # a pair of ones


_row1 = block_product(ROW1, 1)
_row2 = block_product(ROW2, 2)
_taps2 = block_product(TAPS2, 2)
_sum1 = block_product(1, 1)
_sum2 = block_product(1, 2)


@njit(nogil=True, cache=True)
def _round(numbers, out):  # type: ignore[no-untyped-def]
    """Write float32 numbers as bfloat16, the nearest one; of two as near, the even one."""
    bits = numbers.view(np.uint32)
    for k in range(len(out)):
        out[k] = (bits[k] + 0x7FFF + ((bits[k] >> 16) & 1)) >> 16


@njit(nogil=True, cache=True)
def _rectify(row):  # type: ignore[no-untyped-def]
    for k in range(len(row)):
        row[k] = max(row[k], np.float32(0))


@njit(nogil=True, cache=True)
def _bits(byte):  # type: ignore[no-untyped-def]
    """A byte as a bfloat16 number, which is exact."""
    return np.float32(byte).view(np.uint32) >> 16


@njit(nogil=True, cache=True)
def _pair(first, second):  # type: ignore[no-untyped-def]
    return np.uint32(first) | (np.uint32(second) << np.uint32(16))


@njit(nogil=True, cache=True)
def forward(images, weight1, bias1, weight2, bias2, out1, out2):  # type: ignore[no-untyped-def]
    """Both convolutions; as `convolutions.forward`, but that outputs and weights are pairs."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = out2.shape[1:]
    half = (line + 1) // 2
    pixels = np.zeros((height, 2 * half), np.uint16)
    row1, row2 = np.empty(2 * line1, np.float32), np.empty(2 * line2, np.float32)
    x, x1 = pixels.reshape(-1).view(np.uint32), out1.reshape(-1)
    for n in range(count):
        for y in range(height):
            for k in range(line):
                pixels[y, k] = _bits(images[n, y, k])
        for i in range(height1):
            for group in range(0, line1 // 8, ROW1):
                j = min(group, line1 // 8 - ROW1)  # the last group may overlap the one before
                _row1(row1, j * 16, 16, bias1, 0, 0,
                      x, 4 * i * half + j * 6, 6, half, 1,
                      weight1, 0, 12 * 16, 8, 12)  # fmt: skip
            _rectify(row1)
            _round(row1, out1[n, i].view(np.uint16))
        for i in range(height2):
            for group in range(0, line2 // 16, ROW2):
                j = min(group, line2 // 16 - ROW2)
                _row2(row2, j * 32, 32, bias2, 0, 0,
                      x1, (n * height1 + 2 * i) * line1 + 2 * j * 8, 16, line1, 1,
                      weight2, 0, 32 * 32, 4, 32)  # fmt: skip
            _rectify(row2)
            _round(row2, out2[n, i].view(np.uint16))


@njit(nogil=True, cache=True)
def _couple(a, b, out):  # type: ignore[no-untyped-def]
    """Pair the numbers of two images, [h, w] each."""
    for y in range(a.shape[0]):
        for k in range(a.shape[1]):
            out[y, k] = _pair(a[y, k], b[y, k])


@njit(nogil=True, cache=True)
def _input_gradient(grad2, to_inputs, framed, zeros, out):  # type: ignore[no-untyped-def]
    """Gradient of one image's second layer's input, as sums [h1, columns * 16].

    grad2 is [h2, w2*32/2] pairs, framed a frame of zeros that it is written into.
    """
    height2, line2 = grad2.shape
    height1 = out.shape[0]
    half = out.shape[1] // 32
    g1, frame, frame_line = out.reshape(-1), framed.reshape(-1), framed.shape[1]
    for i in range(height2):
        for k in range(line2):
            framed[i + 1, 16 + k] = grad2[i, k]
    # 2x2 outputs see an input, through a part of the kernel that depends on whether its row and
    # column are even.
    for y in range(height1):
        for odd in range(2):
            for group in range(0, half, ROW1):
                j = min(group, half - ROW1)
                _row1(g1, ((y * half + j) * 2 + odd) * 16, 32, zeros, 0, 0,
                      frame, (y // 2) * frame_line + j * 16, 16, frame_line, 1,
                      to_inputs, ((y % 2) * 2 + odd) * 64 * 16, 32 * 16, 2, 32)  # fmt: skip


@njit(nogil=True, cache=True)
def backward(images, out1, grad2, to_inputs, of_weight1, of_bias1, of_weight2, of_bias2):  # type: ignore[no-untyped-def]
    """Their gradients; as `convolutions.backward`, but that the first three arrays are pairs.

    Two images at a time: their numbers at the same place make a pair, and so do their gradients.
    """
    count, height, line = images.shape
    height1, line1 = out1.shape[1], 2 * out1.shape[2]
    height2, line2 = grad2.shape[1], 2 * grad2.shape[2]
    width1 = line1 // 16
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
        # The second layer's kernel and bias: sums over its outputs.
        for ky in range(4):
            for tap in range(0, 64, TAPS2):
                to = (ky * 64 + tap) * 32
                _taps2(of_weight2, to, 32, of_weight2, to, 32,
                       x1, ky * line1 + tap, 1, 2 * line1, 32,
                       g2, 0, line2, height2, line2 // 32)  # fmt: skip
        _sum2(of_bias2, 0, 0, of_bias2, 0, 0, ones, 0, 0, 0, 0,
              g2, 0, line2, height2, line2 // 32)  # fmt: skip
        _input_gradient(grad2_n, to_inputs, framed, zeros, grads1[0])
        _input_gradient(grad2_m, to_inputs, framed, zeros, grads1[1])
        for y in range(height1):
            _round(grads1[0, y], rounded[0])
            _round(grads1[1, y], rounded[1])
            for k in range(line1):
                first = rounded[0, k] if one[y, k] else np.uint16(0)
                second = rounded[1, k] if other[y, k] else np.uint16(0)
                coupled_grad1[y, k] = _pair(first, second)
        # The first layer's kernel and bias.
        for y in range(height):
            for k in range(line):
                pixels[y, k] = _pair(_bits(images[n, y, k]), _bits(images[m, y, k]))
        for ky in range(8):
            for tap in range(0, 24, ROW1):
                to = (ky * 24 + tap) * 16
                _row1(of_weight1, to, 16, of_weight1, to, 16,
                      x, ky * line + tap, 1, 4 * line, 12,
                      g1, 0, columns1, height1, width1)  # fmt: skip
        _sum1(of_bias1, 0, 0, of_bias1, 0, 0, ones, 0, 0, 0, 0,
              g1, 0, columns1, height1, width1)  # fmt: skip
