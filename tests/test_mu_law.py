"""Mu-law: every code comes back, the curve is that of G.711, cells end where codes change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.datasets.mu_law import CODES, SILENCE, decode, edges, encode

ALL = np.arange(CODES)


def test_every_code_comes_back():
    np.testing.assert_array_equal(encode(decode(ALL)), ALL)


def test_the_curve_is_inverted():
    """Closed form at the ends and in the middle; the inverse of the source that was none fails here."""
    np.testing.assert_array_equal(decode([0, 255]), [-1, 1])
    # y = 1/255, so x = (256^(1/255) - 1) / 255; float32 keeps seven digits
    assert decode([SILENCE])[0] == pytest.approx((256 ** (1 / 255) - 1) / 255, rel=1e-6)
    assert encode([0.0])[0] == SILENCE
    # encode takes .5 to y = ln(128.5) / ln(256)
    assert encode([0.5])[0] == round((np.log(128.5) / np.log(256) + 1) / 2 * 255)


@given(st.floats(-1, 1, width=32))
def test_a_sample_comes_back_within_half_a_step(x):
    """Of the curve: 1/255 there, and float32 rounds in its seventh digit."""

    def curve(v):
        return np.sign(v) * np.log1p(255 * abs(float(v))) / np.log(256)

    assert abs(curve(decode(encode([x]))[0]) - curve(x)) <= 1 / 255 + 1e-6


def test_louder_is_clipped_and_order_is_kept():
    np.testing.assert_array_equal(encode([-3, 3]), [0, 255])
    assert (np.diff(encode(np.linspace(-1, 1, 5001)).astype(int)) >= 0).all()


def test_cells_end_where_codes_change():
    ends = edges()
    assert ends.shape == (257,) and np.isinf(ends[[0, -1]]).all() and (np.diff(ends) > 0).all()
    inner = ends[1:-1]
    # float32 rounds 255 (y + 1) / 2 by up to 1.5e-5, 1e-7 of y; cells are 1/255 of y and 1.7e-4 of x or more
    aside = 1e-5 * np.abs(inner) + 1e-7
    np.testing.assert_array_equal(encode(inner - aside), ALL[:-1])
    np.testing.assert_array_equal(encode(inner + aside), ALL[1:])


def test_refusals():
    with pytest.raises(ValueError, match="2 samples are NaN or infinite"):
        encode([0, np.nan, np.inf])
    for codes in ([-1], [256], [0.5]):
        with pytest.raises(ValueError, match="whole numbers from 0 to 255"):
            decode(codes)
