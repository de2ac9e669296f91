"""The noise that films carry already, read from the films themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ._checks import check_digitiser, check_image, check_scale
from ._signal import FULL_SCALE, Digitiser, to_signal
from .severity import N0, SIGMA0

# side of the smallest film, points of its curve, and the fewest of them that make a line
_SMALLEST, _BINS, _FEWEST = 64, 16, 4
# side of the square whose mean stands for the signal of its pixels
_SQUARE = 7
# median of the absolute value of a standard normal number
_MEDIAN = 0.6744897501960817
# standard deviations within which noise counts, and the variance of a normal number so cut
_CUT, _KEPT = 3.0, 0.973337
# share of saturated pixels that a point of the curve bears, and the least spread of the signal
_SATURATED, _SPREAD = 0.01, 0.1
# what a film must reach to be calibrated
_GOODNESS, _WHITENESS = 0.8, (0.85, 1.15)
_ROUNDS = 5


class SeverityEstimate(NamedTuple):
    """What films carry, one value per film; NaN where a film cannot be calibrated.

    Attributes:
        sq: quantum severity.
        se: electronic severity.
        goodness: 1 where variance against signal is a line; below 0.8 it is none.
    """

    sq: Tensor
    se: Tensor
    goodness: Tensor


class VarianceCurve(NamedTuple):
    """Variance against signal of films, ``(B, points)`` each.

    Attributes:
        signal: mean signal of a point's pixels.
        variance: of the noise in single pixels.
        line: what quantum and electronic noise together would have.
        whiteness: variance of single pixels over that of 2 x 2 means, times four.
        used: whether few of its pixels are saturated.
    """

    signal: Tensor
    variance: Tensor
    line: Tensor
    whiteness: Tensor
    used: Tensor


def estimate_severity(
    films: Tensor,
    *,
    n0: float = N0,
    sigma0: float = SIGMA0,
    value_range: Sequence[float] = (0.0, 1.0),
    bits: int | None = None,
) -> SeverityEstimate:
    """Quantum and electronic severity of the noise in films, from variance against signal.

    Var = I sq² / n0 + (sigma0 se)² is fitted to a robust variance of second differences in 16
    groups of pixels of like signal; the variance of rounding is subtracted.

    Shapes:
        films ``(..., H, W)``, at least 64 x 64; four or more axes are a batch ``(B, ...)`` and
        give ``(B,)``, fewer one film and ``()``.

    Args:
        films: as for :class:`QuantumNoise`.
        n0: photons per pixel at full scale for ``sq = 1``.
        sigma0: standard deviation for ``se = 1``, as a fraction of full scale.
        value_range: low and high end of the signal of float films.
        bits: of films that were rounded to ``2**bits`` levels and are floats now; integer films
            are rounded to their own. Pixels of rounded films saturate, and few such pixels are
            used.

    Returns:
        The severities and the goodness of fit; NaN severities for a film that cannot be
        calibrated, where another can.

    Raises:
        TypeError: as :class:`QuantumNoise`.
        ValueError: films are too small, or none of them can be calibrated: saturated, flat,
            without noise beyond rounding, with noise that is not white (compressed, denoised,
            sharpened, resampled), or with a variance that is no line (a logarithmic display). The
            message tells which.

    Note:
        Fine anatomy in coarse pixels passes for noise, which is one more way to be not white.

    Example:
        >>> import torch
        >>> from cxr_noise_transforms import QuantumNoise
        >>> film = torch.linspace(0.1, 0.9, 128).expand(128, 128)
        >>> sq, se, goodness = estimate_severity(QuantumNoise(2.0)(film, seed=0))
        >>> bool(abs(sq - 2) < 0.1)
        True

    References:
        Foi et al. 2008, IEEE Trans. Image Process. 17:1737, for variance against signal.
    """
    check_image(films)
    check_scale("n0", n0)
    check_scale("sigma0", sigma0)
    digitiser = check_digitiser(value_range, clip=False, bits=bits)
    batch = films if films.ndim >= 4 else films[None]
    curve = variance_curve(batch, digitiser)
    slope, offset = _line(curve.signal, curve.variance, curve.used)
    goodness = _goodness(curve)
    films_alone = map(VarianceCurve, *curve)
    reasons = [_flaw(*one) for one in zip(films_alone, goodness.tolist(), strict=True)]
    if all(reasons):
        raise ValueError(f"films cannot be calibrated: {reasons[0]}")
    known = torch.tensor([not reason for reason in reasons], device=slope.device)
    sq, se = (torch.where(known, part, torch.nan).sqrt() for part in (slope * n0, offset))
    found = SeverityEstimate(sq, se / sigma0, goodness)
    return found if films.ndim >= 4 else SeverityEstimate(*(one[0] for one in found))


def variance_curve(films: Tensor, digitiser: Digitiser) -> VarianceCurve:
    """Variance against signal of films ``(B, ..., H, W)``, and the line through it."""
    if min(films.shape[-2:]) < _SMALLEST:
        raise ValueError(
            f"films must be at least {_SMALLEST} x {_SMALLEST} to be calibrated, "
            f"got {tuple(films.shape[-2:])}"
        )
    signal = to_signal(films, digitiser).reshape(len(films), -1, *films.shape[-2:])
    step = _step(films, digitiser)
    outside = (signal <= 0) | (signal >= 1) if step else torch.zeros_like(signal, dtype=torch.bool)
    # white noise keeps its variance in both
    single = _second_differences(signal, 1)
    paired = 2 * _second_differences(avg_pool2d(signal, 2, 1), 2)
    maps = (
        avg_pool2d(signal, _SQUARE, 1),
        avg_pool2d(outside.to(signal.dtype), _SQUARE, 1),
        # centred on the same pixels
        single[..., 2:-2, 2:-2],
        paired[..., 1:, 1:],
    )
    rows, columns = (min(one.shape[axis] for one in maps) for axis in (-2, -1))
    mean, saturated, single, paired = (one[..., :rows, :columns].flatten(1) for one in maps)
    points = mean.shape[1] // _BINS
    order = mean.argsort(1)[:, : points * _BINS]

    def grouped(values: Tensor) -> Tensor:
        return values.gather(1, order).reshape(len(values), _BINS, points)

    level = grouped(mean).mean(-1)
    fine, coarse = _robust_variance(grouped(single)), _robust_variance(grouped(paired))
    used = (grouped(saturated).mean(-1) <= _SATURATED) & (fine + coarse).isfinite()
    seen = (fine - step**2 / 12).clamp(min=0)
    slope, offset = _line(level, seen, used)
    line = slope[:, None] * level + offset[:, None]
    return VarianceCurve(level, seen, line, fine / coarse, used)


def _step(films: Tensor, digitiser: Digitiser) -> float:
    """What a film was rounded to, as a fraction of full scale; 0 where it was not."""
    levels = 2**digitiser.bits - 1.0 if digitiser.bits is not None else 0.0
    full = FULL_SCALE.get(films.dtype, levels)
    return 1 / min(full, levels or full) if full else 0.0


def _second_differences(films: Tensor, step: int) -> Tensor:
    """Along both axes; the variance of white noise stays."""
    for axis in (-2, -1):
        length = films.shape[axis] - 2 * step
        before, here, after = (films.narrow(axis, start * step, length) for start in range(3))
        films = before - 2 * here + after
    return films / 6


def _robust_variance(values: Tensor) -> Tensor:
    """Along the last axis; edges of the anatomy are further out than noise reaches."""
    squares = values.square()
    variance = (values.abs().median(-1, keepdim=True).values / _MEDIAN).square()
    for _ in range(_ROUNDS):
        inside = squares <= _CUT**2 * variance
        variance = (squares * inside).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True) / _KEPT
    return variance.squeeze(-1)


def _line(signal: Tensor, variance: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and offset, neither negative, each point weighted by its own expected error."""
    tiny = torch.finfo(variance.dtype).tiny ** 0.5
    signal, variance = (torch.where(used, values, 0.0) for values in (signal, variance))
    expected = variance
    for _ in range(_ROUNDS):
        weight = used / expected.clamp(min=tiny).square()
        weight = weight / weight.amax(-1, keepdim=True).clamp(min=tiny)
        total = weight.sum(-1).clamp(min=tiny)
        at, high = ((weight * values).sum(-1) / total for values in (signal, variance))
        away = signal - at[:, None]
        spread = (weight * away.square()).sum(-1).clamp(min=tiny)
        slope = (weight * away * (variance - high[:, None])).sum(-1) / spread
        through_zero = (weight * signal * variance).sum(-1) / (
            (weight * signal.square()).sum(-1).clamp(min=tiny)
        )
        slope = torch.where(high < slope * at, through_zero, slope).clamp(min=0)
        offset = (high - slope * at).clamp(min=0)
        expected = slope[:, None] * signal + offset[:, None]
    return slope, offset


def _goodness(curve: VarianceCurve) -> Tensor:
    """1 less the root mean square of the points' relative distances from the line."""
    away = (curve.variance - curve.line) / curve.line
    return 1 - torch.where(curve.used, away, torch.nan).square().nanmean(-1).sqrt()


def _flaw(film: VarianceCurve, goodness: float) -> str:
    """Why a film cannot be calibrated; empty where it can."""
    used = film.used
    if used.sum() < _FEWEST:
        return "most of its pixels are saturated"
    if film.signal[used].max() - film.signal[used].min() < _SPREAD:
        return f"its signal varies by less than {_SPREAD} of full scale"
    if not film.line[used].mean() > 0:
        return "it has no noise beyond that of rounding"
    white = float(film.whiteness[used].median())
    if not _WHITENESS[0] <= white <= _WHITENESS[1]:
        return (
            f"its noise is not white (single pixels have {white:.2f} times the variance that means "
            "of four tell), as after compression, denoising, sharpening or resampling"
        )
    if not goodness >= _GOODNESS:
        return (
            f"its variance is no line in the signal (goodness {goodness:.2f}, at least "
            f"{_GOODNESS} is needed), as in a logarithmic display"
        )
    return ""
