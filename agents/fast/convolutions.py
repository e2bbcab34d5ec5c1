"""The shallow network's two convolutions on a CPU, forward and backward, in float32.

Here an image stays in the nearest cache from its bytes to the second one's output, where general
libraries convert, pad or write anew each layer's input. See `shallow_encoder`, which calls it.
"""

import numpy as np

from compiled.blocks import LANES, WIDE, block_product
from compiled.cache import kernel

# Results per block: so many that all registers are in use, as a product waits four cycles for the
# one before it.
ROW1 = 12 if WIDE else 6  # neighbours in a row of the first layer, 16 channels each
ROW2 = 5 if WIDE else 2  # .. of the second layer, 32 channels each
TAPS2 = 8 if WIDE else 2  # inputs of the second layer's kernel, 32 channels each

row1 = block_product(ROW1, 1)
row2 = block_product(ROW2, 2)
_taps2 = block_product(TAPS2, 2)
_sum1 = block_product(1, 1)
_sum2 = block_product(1, 2)


@kernel
def _widen(image, pixels):  # type: ignore[no-untyped-def]
    """Write the bytes of an image [H, W*3] as floats in 0..255."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            pixels[y, x] = np.float32(image[y, x])


@kernel
def rectify(row):  # type: ignore[no-untyped-def]
    """Set negative numbers to 0, in place; nan stays."""
    for k in range(len(row)):
        row[k] = max(row[k], np.float32(0))


@kernel
def forward(images, weight1, bias1, weight2, bias2, out1, out2):  # type: ignore[no-untyped-def]
    """Both convolutions; images [N, H, W*3], outputs [N, h, w*c], weights and biases flat."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = out2.shape[1:]
    pixels = np.empty((height, line), np.float32)
    x, x1, x2 = pixels.reshape(-1), out1.reshape(-1), out2.reshape(-1)
    for n in range(count):
        _widen(images[n], pixels)
        for i in range(height1):
            row = (n * height1 + i) * line1
            for group in range(0, line1 // 16, ROW1):
                j = min(group, line1 // 16 - ROW1)  # the last group may overlap the one before
                row1(x1, row + j * 16, 16, bias1, 0, 0,
                      x, 4 * (i * line + j * 3), 12, line, 1,
                      weight1, 0, 24 * 16, 8, 24)  # fmt: skip
            rectify(out1[n, i])
        for i in range(height2):
            row = (n * height2 + i) * line2
            for group in range(0, line2 // 32, ROW2):
                j = min(group, line2 // 32 - ROW2)
                row2(x2, row + j * 32, 32, bias2, 0, 0,
                      x1, (n * height1 + 2 * i) * line1 + 2 * j * 16, 32, line1, 1,
                      weight2, 0, 64 * 32, 4, 64)  # fmt: skip
            rectify(out2[n, i])


@kernel
def add_gradients1(x, line, g1, columns1, height1, width1, ones, of_weight1, of_bias1):  # type: ignore[no-untyped-def]
    """Add the gradients of the first layer's kernel and bias, sums over its outputs.

    x and g1, flat, are the image and the gradient of the layer's output, with `line` and `columns1`
    numbers in a row; `ones` is a one, or a pair of ones.
    """
    for ky in range(8):
        for tap in range(0, 24, ROW1):
            to = (ky * 24 + tap) * 16
            row1(of_weight1, to, 16, of_weight1, to, 16,
                 x, ky * line + tap, 1, 4 * line, 12,
                 g1, 0, columns1, height1, width1)  # fmt: skip
    _sum1(of_bias1, 0, 0, of_bias1, 0, 0, ones, 0, 0, 0, 0,
          g1, 0, columns1, height1, width1)  # fmt: skip


@kernel
def add_gradients2(x1, line1, g2, line2, height2, ones, of_weight2, of_bias2):  # type: ignore[no-untyped-def]
    """Those of the second layer, given the first one's output and the gradient of its own."""
    for ky in range(4):
        for tap in range(0, 64, TAPS2):
            to = (ky * 64 + tap) * 32
            _taps2(of_weight2, to, 32, of_weight2, to, 32,
                   x1, ky * line1 + tap, 1, 2 * line1, 32,
                   g2, 0, line2, height2, line2 // 32)  # fmt: skip
    _sum2(of_bias2, 0, 0, of_bias2, 0, 0, ones, 0, 0, 0, 0,
          g2, 0, line2, height2, line2 // 32)  # fmt: skip


@kernel
def input_gradient(grad2, width2, to_inputs, framed, zeros, out):  # type: ignore[no-untyped-def]
    """Gradient of one image's second layer's input, [h1, columns * 16] float32.

    grad2: [h2, w2 * 32], or half as many pairs. framed: a frame of zeros that it is written into.
    """
    height2, line2 = grad2.shape
    height1, half = out.shape[0], out.shape[1] // 32
    size = line2 // width2  # entries of a column: 32 numbers or 16 pairs
    g1, frame, frame_line = out.reshape(-1), framed.reshape(-1), framed.shape[1]
    for i in range(height2):
        for k in range(line2):
            framed[i + 1, size + k] = grad2[i, k]
    # 2x2 outputs see an input, through a part of the kernel that depends on whether its row and
    # column are even.
    for y in range(height1):
        for odd in range(2):
            for group in range(0, half, ROW1):
                j = min(group, half - ROW1)
                part = (y % 2) * 2 + odd
                row1(g1, ((y * half + j) * 2 + odd) * 16, 32, zeros, 0, 0,
                     frame, (y // 2) * frame_line + j * size, size, frame_line, 1,
                     to_inputs, part * 4 * size * 16, 2 * size * 16, 2, 2 * size)  # fmt: skip


@kernel
def backward(images, out1, grad2, to_inputs, of_weight1, of_bias1, of_weight2, of_bias2):  # type: ignore[no-untyped-def]
    """Their gradients; shapes as for `forward`, grad2 as out2. Adds to the last four."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = grad2.shape[1:]
    width1, width2 = line1 // 16, line2 // 32
    # A gradient row of the first layer has room for two full groups, of even and of odd columns.
    half = max((width1 + 1) // 2, ROW1)
    columns1 = 2 * half * 16
    pixels = np.empty((height, line), np.float32)
    grad1 = np.empty((height1, columns1), np.float32)
    framed = np.zeros(((height1 + 1) // 2 + 1, (half + 1) * 32), np.float32)
    x, g1 = pixels.reshape(-1), grad1.reshape(-1)
    zeros, ones = np.zeros(LANES, np.float32), np.ones(1, np.float32)
    for n in range(count):
        x1, g2 = out1[n].reshape(-1), grad2[n].reshape(-1)
        add_gradients2(x1, line1, g2, line2, height2, ones, of_weight2, of_bias2)
        input_gradient(grad2[n], width2, to_inputs, framed, zeros, grad1)
        for y in range(height1):
            for k in range(line1):
                if out1[n, y, k] <= 0:
                    grad1[y, k] = 0
        _widen(images[n], pixels)
        add_gradients1(x, line, g1, columns1, height1, width1, ones, of_weight1, of_bias1)
