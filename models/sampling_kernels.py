"""A WaveNet one sample at a time, compiled: what ``models.sampler`` spends its time in.

Conventions
    clips     rows of every array here: all are at the same sample, each with its own past.
    product   out += inputs @ weights; weights are (inputs, outputs), so that the innermost loop runs along
              contiguous outputs and no sum is split over the lanes of a vector. What four inputs add is one
              chain of fused multiply-adds, and the fours come in order, whatever the number of clips, the
              width of the vectors and the processor: equal inputs give equal bits. Dot products under
              fastmath, which leave the order to the compiler, are no faster (``experiments.wavenet_speed``).
    ring      the past of a layer: ``dilation`` slots of what came into it; slot t % dilation holds
              h[t - dilation] until h[t] takes its place.
    weight    of a code: its probability over that of the likeliest, as a whole number of ``UNIT`` s.
              Whole numbers have exact sums: a draw falls on the same side of an edge everywhere.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from audio_distance.storage import cache_folder

compiled = njit(error_model="numpy")  # a division that may raise is not vectorised

UNIT = 2.0**-32  # far below what single precision leaves of a logit, and 256 of them fit 64 bits


class Network(NamedTuple):
    """Parameters as the kernels read them, float32, for L layers; (inputs, outputs) where they multiply.

    Weights and biases of a sigmoid are half of the file's: sigmoid(y) = (1 + tanh(y / 2)) / 2, and halves are
    exact, so that one function serves both sides of a gate.
    """

    embedding: np.ndarray  # (codes, residual)
    taps: np.ndarray  # (L, 2 residual, 2 gate), of h[t - dilation] and then of h[t]
    mix: np.ndarray  # (L, gate, residual + skip), both products of a gate's output as one
    residual_bias: np.ndarray  # (L, residual)
    skip_bias: np.ndarray  # (skip,), the sum over layers
    head: np.ndarray  # (skip, head)
    head_bias: np.ndarray  # (head,)
    output: np.ndarray  # (head, codes)
    output_bias: np.ndarray  # (codes,)


@functools.cache
def kept(function: Callable) -> Callable:
    """``listen`` or ``sample``, compiled at its first call and kept in the user's cache folder.

    Not beside this file, where numba puts it. numba asks for a folder as it decorates, one of the whole
    process: it gets its own back at once. Where the folder cannot be written, every process compiles again.
    """
    own = numba.config.CACHE_DIR
    folder = Path(own or cache_folder() / "numba")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    try:
        numba.config.CACHE_DIR = str(folder)
        return njit(function, cache=writable, error_model="numpy")
    finally:
        numba.config.CACHE_DIR = own


@intrinsic
def fma(context, a, b, c):
    """a * b + c, rounded once; a library call where the processor has no such instruction."""
    one = types.float32
    return one(one, one, one), lambda context, builder, signature, values: builder.fma(*values)


@intrinsic
def float_of_bits(context, bits):
    """The float32 that an int32 has the bits of."""

    def generate(context, builder, signature, values):
        return builder.bitcast(values[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


ONE, HALF = np.float32(1), np.float32(0.5)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)  # their sum is -ln 2 (Cody and Waite)
LOWEST = np.float32(-87.0)  # exp of less is no normal float32
TAYLOR = tuple(np.float32(1 / n) for n in (5040, 720, 120, 24, 6, 2, 1, 1))


@compiled
def exp(x):
    """Of a float32 that is not above 0: 2^k exp(r) with |r| <= ln(2) / 2; relative error below 2e-7."""
    x = LOWEST if x < LOWEST else x
    k = np.floor(fma(x, LOG2_E, HALF))
    r = fma(k, LN2_LOW, fma(k, LN2_HIGH, x))
    y = fma(TAYLOR[0], r, TAYLOR[1])
    y = fma(y, r, TAYLOR[2])
    y = fma(y, r, TAYLOR[3])
    y = fma(y, r, TAYLOR[4])
    y = fma(y, r, TAYLOR[5])
    y = fma(y, r, TAYLOR[6])
    y = fma(y, r, TAYLOR[7])
    return y * float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))


@compiled
def tanh(x):
    """Of a float32, within 1e-7, by ``exp``: it vectorises, where a library's function does not."""
    e = exp(np.float32(-2) * abs(x))
    y = (ONE - e) / (ONE + e)
    return y if x >= 0 else -y


@compiled
def chain(w0, w1, w2, w3, x0, x1, x2, x3):
    """What four inputs add to an output."""
    return fma(w3, x3, fma(w2, x2, fma(w1, x1, w0 * x0)))


@compiled
def add_product(out, weights, inputs):
    """out (1, m) += inputs (1, n) @ weights (n, m), four inputs for each load of an output."""
    n, m = weights.shape
    whole = n - n % 4
    p, a = out[0], inputs[0]
    for j in range(0, whole, 4):
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        a0, a1, a2, a3 = a[j], a[j + 1], a[j + 2], a[j + 3]
        for i in range(m):
            p[i] += chain(w0[i], w1[i], w2[i], w3[i], a0, a1, a2, a3)
    for j in range(whole, n):
        for i in range(m):
            p[i] = fma(weights[j, i], a[j], p[i])


@compiled
def add_product_of_four(out, weights, inputs):
    """out (4, m) += inputs (4, n) @ weights (n, m), n a multiple of 8.

    A weight is loaded once for four clips, an output once for eight inputs: a third faster than for four. One
    clip, which waits for its weights, gains nothing by that.
    """
    n, m = weights.shape
    p, q, r, s = out[0], out[1], out[2], out[3]
    a, b, c, d = inputs[0], inputs[1], inputs[2], inputs[3]
    for j in range(0, n - n % 8, 8):  # said so, all indices are known to be inside: a third faster
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        a0, a1, a2, a3 = a[j], a[j + 1], a[j + 2], a[j + 3]
        b0, b1, b2, b3 = b[j], b[j + 1], b[j + 2], b[j + 3]
        c0, c1, c2, c3 = c[j], c[j + 1], c[j + 2], c[j + 3]
        d0, d1, d2, d3 = d[j], d[j + 1], d[j + 2], d[j + 3]
        w4, w5, w6, w7 = weights[j + 4], weights[j + 5], weights[j + 6], weights[j + 7]
        a4, a5, a6, a7 = a[j + 4], a[j + 5], a[j + 6], a[j + 7]
        b4, b5, b6, b7 = b[j + 4], b[j + 5], b[j + 6], b[j + 7]
        c4, c5, c6, c7 = c[j + 4], c[j + 5], c[j + 6], c[j + 7]
        d4, d5, d6, d7 = d[j + 4], d[j + 5], d[j + 6], d[j + 7]
        for i in range(m):
            v0, v1, v2, v3, v4, v5, v6, v7 = w0[i], w1[i], w2[i], w3[i], w4[i], w5[i], w6[i], w7[i]
            p[i] = p[i] + chain(v0, v1, v2, v3, a0, a1, a2, a3) + chain(v4, v5, v6, v7, a4, a5, a6, a7)
            q[i] = q[i] + chain(v0, v1, v2, v3, b0, b1, b2, b3) + chain(v4, v5, v6, v7, b4, b5, b6, b7)
            r[i] = r[i] + chain(v0, v1, v2, v3, c0, c1, c2, c3) + chain(v4, v5, v6, v7, c4, c5, c6, c7)
            s[i] = s[i] + chain(v0, v1, v2, v3, d0, d1, d2, d3) + chain(v4, v5, v6, v7, d4, d5, d6, d7)


@compiled
def add_products(out, weights, inputs):
    """out (clips, m) += inputs (clips, n) @ weights (n, m).

    Four clips at once, so that weights come from memory once a sample and not once a clip; then one by one.
    Parts of one array, because of rows in tuples the compiler makes code half as fast.
    """
    clips = len(out)
    if clips == 1:  # by far the most frequent, and parts cost a tenth of a small network's time
        add_product(out, weights, inputs)
        return
    together = clips - clips % 4 if len(weights) % 8 == 0 else 0
    for clip in range(0, together, 4):
        add_product_of_four(out[clip : clip + 4], weights, inputs[clip : clip + 4])
    for clip in range(together, clips):
        add_product(out[clip : clip + 1], weights, inputs[clip : clip + 1])


@compiled
def workspace(network, clips):
    """Arrays that ``advance`` writes over: gates, taps, gated, stream, hidden, logits."""
    gates, residual, mixed = network.taps.shape[2], network.taps.shape[1] // 2, network.mix.shape[2]
    head, codes = network.output.shape
    return (
        np.empty((clips, gates), np.float32),
        np.empty((clips, 2 * residual), np.float32),
        np.empty((clips, gates // 2), np.float32),
        np.empty((clips, mixed), np.float32),
        np.empty((clips, head), np.float32),
        np.empty((clips, codes), np.float32),
    )


@compiled
def advance(network, biases, dilations, rings, position, codes, work):
    """Feed one code to each clip; returns the logits of the next, (clips, codes), a part of ``work``.

    ``biases`` is (clips, layers, 2 gate), with the label's; ``rings`` (clips, sum of dilations, residual) is
    changed; ``position`` counts the codes fed before.
    """
    gates, taps, gated, stream, hidden, logits = work
    clips, residual, half = len(codes), taps.shape[1] // 2, gated.shape[1]
    for clip in range(clips):
        stream[clip, :residual] = network.embedding[codes[clip]]
        stream[clip, residual:] = network.skip_bias
    start = 0
    for layer in range(len(dilations)):
        slot = start + position % dilations[layer]
        start += dilations[layer]
        for clip in range(clips):  # element by element: numba's copies of slices cost six times as much
            for i in range(2 * half):
                gates[clip, i] = biases[clip, layer, i]
            for i in range(residual):
                taps[clip, i] = rings[clip, slot, i]
                taps[clip, residual + i] = stream[clip, i]
                rings[clip, slot, i] = stream[clip, i]
        add_products(gates, network.taps[layer], taps)
        every = gates.reshape(-1)  # one long loop fills vectors better than two short ones a clip
        for i in range(len(every)):
            every[i] = tanh(every[i])
        for clip in range(clips):
            for i in range(half):
                gated[clip, i] = gates[clip, i] * fma(HALF, gates[clip, half + i], HALF)
            for i in range(residual):
                stream[clip, i] += network.residual_bias[layer, i]
        add_products(stream, network.mix[layer], gated)
    for clip in range(clips):
        for i in range(residual, stream.shape[1]):
            stream[clip, i] = max(stream[clip, i], np.float32(0))
        hidden[clip] = network.head_bias
        logits[clip] = network.output_bias
    add_products(hidden, network.head, stream[:, residual:])
    for clip in range(clips):
        for i in range(hidden.shape[1]):
            hidden[clip, i] = max(hidden[clip, i], np.float32(0))
    add_products(logits, network.output, hidden)
    return logits


@compiled
def draw(logits, sharpness, top_p, uniform, weights):
    """The code at ``uniform`` of the way through the distribution; ``weights`` is written over."""
    peak = logits.max()
    for i in range(len(logits)):
        weights[i] = np.int64(exp(sharpness * (logits[i] - peak)) * np.float32(1 / UNIT))
    if top_p < 1:
        keep_nucleus(weights, top_p)
    total = weights.sum()
    target = min(np.int64(uniform * total), total - 1)  # the product may round up to the total
    passed = np.int64(0)
    for i in range(len(weights)):
        passed += weights[i]
        if passed > target:
            return i
    return len(weights) - 1


@compiled
def keep_nucleus(weights, top_p):
    """Set to 0 all but the likeliest codes that together have ``top_p``, and ties of the last of them."""
    needed = top_p * weights.sum()
    low, high = np.int64(0), np.int64(1 / UNIT) + 1  # codes of at least low reach what is needed, of high not
    while high - low > 1:
        middle = (low + high) // 2
        reached = np.int64(0)
        for i in range(len(weights)):
            reached += weights[i] if weights[i] >= middle else np.int64(0)
        if reached >= needed:
            low = middle
        else:
            high = middle
    for i in range(len(weights)):
        weights[i] = weights[i] if weights[i] >= low else np.int64(0)


def listen(network, biases, dilations, rings, position, inputs, found):
    """Feed ``inputs``, (clips, n), from ``position`` on; changes ``rings``.

    ``found`` takes the logits of the last of its length, (clips, up to n, codes); it may be empty.
    """
    clips, count = inputs.shape
    work, codes = workspace(network, clips), np.empty(clips, np.int64)
    first = count - found.shape[1]
    for t in range(count):
        codes[:] = inputs[:, t]
        logits = advance(network, biases, dilations, rings, position + t, codes, work)
        if t >= first:
            found[:, t - first] = logits


def sample(network, biases, dilations, rings, position, last, uniforms, sharpness, top_p, made):
    """Fill ``made``, (clips, n), by as many draws; changes ``rings``, and ``last``, the codes not yet fed."""
    clips, count = made.shape
    work = workspace(network, clips)
    weights = np.empty(network.output.shape[1], np.int64)
    for t in range(count):
        logits = advance(network, biases, dilations, rings, position + t, last, work)
        for clip in range(clips):
            last[clip] = draw(logits[clip], sharpness, top_p, uniforms[clip, t], weights)
            made[clip, t] = last[clip]
