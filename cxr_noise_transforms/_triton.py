"""The whole exposure in one Triton kernel: an image is read once and written once.

    noisy = digitised(gain * count + sigma * normal)

where count is the smallest n with F(n; signal / gain) >= u, normal the quantile of u', F Poisson's
distribution function, and u and u' are the pixel's uniforms: the law of docs/sampler.md, drawn
where the image is.

- Memory: the image, and 16 bytes of seed and strengths. Arithmetic sets the pace: about 130
  instructions per pixel for photons, up to 280 at rates below LOW, and 60 for the read-out.
- One lane draws a block of Philox and works on the eight pixels that it serves.
- Rates up to LOW: F is summed up in float32 from n = 0.
- Other rates: count = floor(x) by the expansion of the law, in float32.
- A count within the error of these is decided by F in float64, so that counts equal those of the
  CPU. A branch costs a warp its whole width: hence one such pixel of every lane at a time.

Traps
-----
A lane's eight pixels must stay in its registers. Hence two loads of four (no load is wider than
four float32) joined into a tile (lanes, 4, 2), and words that look at the image (`wanted`), which
makes Triton give them the image's layout. Otherwise the result is the same, but each word is drawn
two to four times; a test compiles the kernel and looks.

Products and sums are not fused (`enable_fp_fusion`), because the CPU rounds both; `tl.fma` stands
where that does not matter.
"""

# no `from __future__ import annotations`: Triton's interpreter reads the annotations as they are
# ruff: noqa: ANN001, ANN202, N803
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# mypy: disable-error-code="import-untyped,import-not-found,no-any-return"

import math

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra import libdevice

from ._signal import FULL_SCALE, Digitiser
from ._vmap import per_image

# lanes per program, eight pixels each, and warps per program: with one warp every branch below
# is taken by the pixels that need it and few others, and no lane waits at a barrier
_LANES, _WARPS = 32, 1

# Philox streams and constants, as on the CPU and in numpy
_PHOTONS, _READ_OUT = tl.constexpr(0), tl.constexpr(1)
_M0, _M1 = tl.constexpr(0xD2E7470EE14C6C93), tl.constexpr(0xCA5A826395121157)
_W0, _W1 = tl.constexpr(0x9E3779B97F4A7C15), tl.constexpr(0xBB67AE8584CAA73B)

# up to this rate F is summed up
_LOW = tl.constexpr(12.0)
# bound of that sum's error in float32, twice what the GPU's exp and rsqrt can add up to
_SUM_ERROR = tl.constexpr(1e-5)
# log2(1 - s²) at quantile 3.3, and the quantile up to which the expansion keeps its error
_TAIL, _CENTRAL = tl.constexpr(-9.0), tl.constexpr(4.0)
# below this rate F is summed up in float64 too
_FEW = tl.constexpr(64.0)
# from here on float32 does not hold every count
_COUNTABLE = tl.constexpr(2.0**24)


def expose(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    digitiser: Digitiser,
) -> Tensor:
    """Noisy images like ``image``; one with neither gain nor sigma comes back bit for bit.

    Args:
        image: ``(B, ...)``, all but float64.
        gain: signal per photon ``(B,)``, float32; 0 or ``None`` for no quantum noise.
        sigma: standard deviation of the read-out ``(B,)``, float32; 0 or ``None`` for no
            electronic noise.
        seeds: int64 ``(B,)``.
        digitiser: the way back from signal to image.

    Raises:
        TypeError: a float64 image.
        RuntimeError: an image on the CPU, other than in Triton's interpreter.
    """
    if image.dtype == torch.float64:
        raise TypeError(
            "image must be uint8, uint16, float16, bfloat16 or float32 for backend 'triton', "
            f"got {image.dtype}"
        )
    low, high = digitiser.value_range
    return _expose(image, gain, sigma, seeds, low, high, digitiser.clip, digitiser.bits)


@torch.library.custom_op("cxr_noise_transforms::expose", mutates_args=())
def _expose(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    low: float,
    high: float,
    clip: bool,
    bits: int | None,
) -> Tensor:
    if image.device.type == "cpu" and isinstance(_kernel, triton.JITFunction):
        raise RuntimeError(
            "backend 'triton' needs an image on a GPU (or TRITON_INTERPRET=1), got one on the CPU"
        )
    result = torch.empty_like(image)
    if not image.numel():
        return result
    target = (
        result
        if result.is_contiguous()
        else torch.empty_like(image, memory_format=torch.contiguous_format)
    )
    source = image.contiguous()
    full = int(FULL_SCALE.get(image.dtype, 0))
    unit = full != 0 or (low, high) == (0, 1)
    steps = 0 if clip else None
    if bits is not None:
        # an integer image is rounded to its own levels, and only once
        steps = 2**bits - 1 if not full or 2**bits - 1 < full else 0
    pixels = image[0].numel()
    # what Triton may take for granted of the address of a lane's pixels
    group = math.gcd(pixels, 8) if (source.data_ptr() | target.data_ptr()) % 16 == 0 else 1
    with torch.cuda.device_of(image):
        _kernel[(len(image) * triton.cdiv(pixels, 8 * _LANES),)](
            source,
            target,
            None if gain is None else gain.contiguous(),
            None if sigma is None else sigma.contiguous(),
            seeds.contiguous(),
            pixels // group,
            None if unit else low,
            None if unit else high - low,
            FULL=full,
            STEPS=steps,
            GROUP=group,
            LANES=_LANES,
            num_warps=_WARPS,
            enable_fp_fusion=False,
        )
    return result if target is result else result.copy_(target)


per_image("expose")


@triton.jit
def _kernel(
    image,
    result,
    gain,
    sigma,
    seeds,
    groups,
    low,
    span,
    FULL: tl.constexpr,
    STEPS: tl.constexpr,
    GROUP: tl.constexpr,
    LANES: tl.constexpr,
):
    tiles = (groups - 1) // (8 * LANES // GROUP) + 1
    number = (tl.program_id(0) // tiles).to(tl.int64)
    start = (tl.program_id(0) % tiles).to(tl.int64) * (8 * LANES)
    lane = tl.arange(0, LANES)
    block = start // 8 + lane
    end = tl.minimum((groups - start // GROUP) * GROUP, 8 * LANES).to(tl.int32)
    image += number * groups * GROUP + start
    result += number * groups * GROUP + start
    first = _load(image, 8 * lane, end, GROUP)
    second = _load(image, 8 * lane + 4, end, GROUP)
    per_photon = tl.full([], 0.0, tl.float32)
    deviation = tl.full([], 0.0, tl.float32)
    if gain is not None:
        per_photon = tl.load(gain + number)
    if sigma is not None:
        deviation = tl.load(sigma + number)
    if (per_photon != 0) | (deviation != 0):
        key = tl.load(seeds + number)
        clean = tl.join(first, second)
        noisy = _to_signal(clean, low, span, FULL)
        if per_photon != 0:
            noisy = _photons(noisy, per_photon, key, block)
        if deviation != 0:
            words = _words(key, _READ_OUT, block, noisy < float("inf"))
            noisy += deviation * _quantiles(words)
        noisy = _to_image(noisy, low, span, FULL, STEPS)
        first, second = tl.split(_rounded(noisy, clean.dtype))
    _store(result, first, 8 * lane, end, GROUP)
    _store(result, second, 8 * lane + 4, end, GROUP)


@triton.jit
def _to_signal(image, low, span, FULL: tl.constexpr):
    signal = image.to(tl.float32)
    if FULL:
        signal = tl.div_rn(signal, FULL)
    elif span is not None:
        signal = tl.div_rn(signal - low, span)
    return signal


@triton.jit
def _to_image(noisy, low, span, FULL: tl.constexpr, STEPS: tl.constexpr):
    if STEPS is not None:
        noisy = tl.where(noisy < 0, 0.0, noisy)
        noisy = tl.where(noisy > 1, 1.0, noisy)
    if STEPS:
        noisy = tl.div_rn(_round(noisy * STEPS), STEPS)
    if FULL:
        noisy = _round(tl.minimum(tl.maximum(noisy * FULL, 0.0), FULL))
    elif span is not None:
        noisy = low + noisy * span
    return noisy


@triton.jit
def _rounded(noisy, DTYPE: tl.constexpr):
    """In the image's dtype; what is finite stays finite in half precision."""
    if DTYPE.is_fp16() or DTYPE.is_bf16():
        largest = 65504.0 if DTYPE.is_fp16() else 3.3895313892515355e38
        beyond = (tl.abs(noisy) > largest) & (tl.abs(noisy) < float("inf"))
        noisy = tl.where(beyond, tl.where(noisy < 0, -largest, largest), noisy)
    return noisy.to(DTYPE)


@triton.jit
def _load(image, at, end, GROUP: tl.constexpr):
    """Four pixels of each lane, from ``at`` on."""
    if GROUP >= 4:
        pixel = at[:, None] + tl.arange(0, 4)[None, :]
        return tl.load(image + pixel, mask=pixel < end, other=0)
    a = tl.load(image + at, mask=at < end, other=0)
    b = tl.load(image + at + 1, mask=at + 1 < end, other=0)
    c = tl.load(image + at + 2, mask=at + 2 < end, other=0)
    d = tl.load(image + at + 3, mask=at + 3 < end, other=0)
    return tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), [at.shape[0], 4])


@triton.jit
def _store(result, four, at, end, GROUP: tl.constexpr):
    if GROUP >= 4:
        pixel = at[:, None] + tl.arange(0, 4)[None, :]
        tl.store(result + pixel, four, mask=pixel < end)
    else:
        ac, bd = tl.split(tl.reshape(four, [at.shape[0], 2, 2]))
        a, c = tl.split(ac)
        b, d = tl.split(bd)
        tl.store(result + at, a, mask=at < end)
        tl.store(result + at + 1, b, mask=at + 1 < end)
        tl.store(result + at + 2, c, mask=at + 2 < end)
        tl.store(result + at + 3, d, mask=at + 3 < end)


@triton.jit
def _slots():
    """A lane's pixels: 0 to 3 and 4 to 7, since four float32 are the widest load."""
    return tl.arange(0, 4)[None, :, None] + 4 * tl.arange(0, 2)[None, None, :]


@triton.jit
def _round(x):
    """To the nearest integer, ties to even, for |x| < 2^22."""
    return (x + 12582912.0) - 12582912.0


@triton.jit
def _any_upto(x, bound):
    least = tl.min(tl.min(x, axis=2), axis=1)
    return tl.max((least <= bound).to(tl.int32), axis=0) > 0


@triton.jit
def _words(key, STREAM: tl.constexpr, block, wanted):
    """The pixels' words, 0 where not wanted."""
    c0 = (block + 1).to(tl.uint64)
    c1 = tl.zeros_like(c0)
    c2 = tl.zeros_like(c0)
    c3 = tl.zeros_like(c0)
    k0 = key.to(tl.uint64)
    k1 = tl.full([], STREAM, tl.uint64)
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(c0, _M0), c0 * _M0
        high1, low1 = tl.umulhi(c2, _M1), c2 * _M1
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _W0, k1 + _W1
    slot = _slots()
    even = tl.where(slot < 4, c0[:, None, None], c2[:, None, None])
    odd = tl.where(slot < 4, c1[:, None, None], c3[:, None, None])
    pair = tl.where(slot % 4 < 2, even, odd) >> (32 * (slot % 2)).to(tl.uint64)
    return tl.where(wanted, pair.to(tl.uint32).to(tl.int32, bitcast=True), 0)


@triton.jit
def _log2(x):
    if _FAST:
        return libdevice.fast_log2f(x)
    return tl.log2(x)


# one instruction on the GPU that torch is built for
_FAST = tl.constexpr(isinstance(_log2, triton.JITFunction) and torch.version.hip is None)


@triton.jit
def _quantiles(words):
    """Normal quantiles in float32, to 1e-6: quantile / s as a polynomial in log2(1 - s²)."""
    s = (words.to(tl.float32) + 0.5) * 4.656612873077393e-10
    # 1 - |s|, which float32 holds where |s| rounds to 1
    rest = (((words ^ (words >> 31)) ^ 0x7FFFFFFF).to(tl.float32) + 0.5) * 4.656612873077393e-10
    x = _log2(rest * (2 - rest))
    y = tl.fma(x, -3.537133e-08, -1.381427e-06)
    y = tl.fma(y, x, -1.929124e-05)
    y = tl.fma(y, x, -6.567693e-05)
    y = tl.fma(y, x, 1.066104e-03)
    y = tl.fma(y, x, 7.826918e-03)
    y = tl.fma(y, x, -2.274357e-01)
    y = tl.fma(y, x, 1.253315) * s
    if _any_upto(x, _TAIL):
        v = tl.sqrt(-x)
        z = tl.fma(v, 1.061286e-05, -3.617298e-04)
        z = tl.fma(z, v, 5.210107e-03)
        z = tl.fma(z, v, -4.08604e-02)
        z = tl.fma(z, v, 1.849242e-01)
        z = tl.fma(z, v, 7.306454e-01)
        z = tl.fma(z, v, 2.021775e-01)
        y = tl.where(x <= _TAIL, tl.where(s < 0, -z, z), y)
    return y


@triton.jit
def _photons(signal, per_photon, key, block):
    rate = tl.div_rn(signal, per_photon)
    count = _counts(tl.where(rate > 0, rate, 0.0), _words(key, _PHOTONS, block, rate > 0))
    # photons without number show no noise, and NaN stays NaN
    other = tl.where(rate > 0, signal, rate)
    return tl.where(rate < float("inf"), count * per_photon, other)


@triton.jit
def _counts(rate, words):
    """Poisson counts of rates >= 0."""
    low = rate <= _LOW
    count = tl.zeros_like(rate)
    unsure = count > 0
    if _any_upto(rate, _LOW):
        count, unsure = _by_sum(tl.where(low, rate, 0.0), words)
    if _any_upto(-rate, -_LOW):
        more, close = _by_quantile(rate, words)
        count = tl.where(low, count, more)
        unsure = tl.where(low, unsure, close)
    # those in doubt, the last of each lane first
    rank = tl.where(unsure, 1 + _slots(), 0)
    last = tl.max(tl.max(rank, axis=2), axis=1)
    while tl.max(last, axis=0) > 0:
        this = (rank > 0) & (rank == last[:, None, None])
        decided = _decide(_only(this, rate), _only(this, words), _only(this, count))
        count = tl.where(this, decided[:, None, None], count)
        rank = tl.where(this, 0, rank)
        last = tl.max(tl.max(rank, axis=2), axis=1)
    return count


@triton.jit
def _only(this, x):
    """Each lane's one value."""
    return tl.sum(tl.sum(tl.where(this, x, 0), axis=2), axis=1)


@triton.jit
def _by_sum(rate, words):
    """Counts of small rates, and which of them are unsure."""
    u = (words.to(tl.float32) + 0.5) * 2.3283064365386963e-10 + 0.5
    mass = tl.exp(-rate)
    above = mass - u
    count = tl.zeros_like(rate)
    n = 0.0
    while _any_upto(above, -_SUM_ERROR) & (n < 64):
        for _ in tl.static_range(4):
            n += 1
            # 1 / n, but for the slow path of a division
            step = tl.rsqrt(n * n)
            below = above < 0
            count = tl.where(below, n, count)
            mass = tl.where(below, mass * (rate * step), mass)
            above = tl.where(below, above + mass, above)
    return count, (above < _SUM_ERROR) | (above - mass > -_SUM_ERROR)


@triton.jit
def _by_quantile(rate, words):
    """Counts of larger rates; of the unsure the lower of the two that they can be.

    x = rate + root w + w² A(s) + C(s) - 0.0214 / rate for w = quantile, s = w / root, with A and C
    fitted to the solution of F(x - 1; rate) = u for rates from LOW on and |w| < CENTRAL; further
    out the error stays below 0.2.
    """
    w = _quantiles(words)
    over = tl.rsqrt(rate)
    s = w * over
    root = rate * over
    a = tl.fma(s, 2.631139e-04, -4.352802e-04)
    a = tl.fma(a, s, 4.953852e-04)
    a = tl.fma(a, s, -1.472685e-03)
    a = tl.fma(a, s, 3.743449e-03)
    a = tl.fma(a, s, -1.39012e-02)
    a = tl.fma(a, s, 1.666659e-01)
    c = tl.fma(s, 8.678756e-04, 8.558252e-03)
    c = tl.fma(c, s, -2.765465e-02)
    c = tl.fma(c, s, 3.333402e-01)
    c = tl.fma(over * over, -2.140378e-02, c)
    whole = tl.floor(rate)
    x = tl.fma(tl.fma(a, w, root), w, c) + (rate - whole)
    nearest = tl.floor(x + 0.5)
    # the fit's error falls with the rate, the rounding of root w grows with it
    error = tl.fma(over * over, 5e-3, tl.fma(tl.abs(w) * root, 2e-6, 1e-5))
    unsure = (tl.abs(x - nearest) < error) | (tl.abs(w) > _CENTRAL)
    unsure = unsure & (rate < _COUNTABLE)
    return tl.maximum(whole + tl.where(unsure, nearest - 1, tl.floor(x)), 0.0), unsure


@triton.jit
def _decide(rate, words, lower):
    """The count in float64: any for rates below FEW, else ``lower`` or one more."""
    u = (words.to(tl.float64) + 0.5) * 2.3283064365386963e-10 + 0.5
    few = tl.where(rate < _FEW, rate, 0.0).to(tl.float64)
    mass = tl.exp(-few)
    above = mass - u
    count = tl.zeros_like(u)
    n = tl.full([], 0.0, tl.float64)
    while (tl.max((above < 0).to(tl.int32), axis=0) > 0) & (n < 256):
        n += 1
        count = tl.where(above < 0, n, count)
        mass *= few / n
        above += mass
    if tl.max(rate, axis=0) >= _FEW:
        below = lower.to(tl.float64)
        more = tl.where(_distribution(below, rate.to(tl.float64)) < u, below + 1, below)
        count = tl.where(rate < _FEW, count, more)
    return count.to(tl.float32)


@triton.jit
def _distribution(n, rate):
    """F(n; rate) to 1e-11 for rates from FEW on, by Temme's uniform expansion (DLMF 8.12).

    With a = n + 1 and eta²/2 = rate/a - 1 - log(rate/a) it is erfc(eta sqrt(a/2)) / 2 plus
    exp(-a eta²/2) / sqrt(2 pi a) times a double series in eta and 1/a.
    """
    a = n + 1
    # log(rate/a) = 2 z (1 + z² h), which takes the cancellation out of eta
    z = (rate - a) / (rate + a)
    h = z * z / 13 + 1 / 11
    h = h * (z * z) + 1 / 9
    h = h * (z * z) + 1 / 7
    h = h * (z * z) + 1 / 5
    h = h * (z * z) + 1 / 3
    g = (rate + a) / (2 * a) - z * h
    eta = 2 * z * tl.sqrt(g)
    c0 = -571 / 261273600 * eta + 1 / 25515
    c0 = c0 * eta - 139 / 777600
    c0 = c0 * eta + 1 / 2835
    c0 = c0 * eta + 1 / 864
    c0 = c0 * eta - 2 / 135
    c0 = c0 * eta + 1 / 12
    c0 = c0 * eta - 1 / 3
    c1 = -1 / 2488320 * eta + 1 / 4860
    c1 = c1 * eta - 77 / 77760
    c1 = c1 * eta + 1 / 378
    c1 = c1 * eta - 1 / 288
    c1 = c1 * eta - 1 / 540
    c2 = (eta / 497664 + 1 / 1296) * eta
    c2 = (c2 - 139 / 51840) * eta + 25 / 6048
    c3 = 571 / 2488320 * eta + 101 / 155520
    series = c0 + (c1 + (c2 + c3 / a) / a) / a
    density = tl.exp(-2 * a * (z * z) * g) * 0.3989422804014327 / tl.sqrt(a)
    return 0.5 - 0.5 * tl.erf(eta * tl.sqrt(0.5 * a)) + density * series
