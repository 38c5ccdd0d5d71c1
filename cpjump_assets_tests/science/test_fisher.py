"""Fisher's exact test: against scipy, and against the test that the 2024 paper prints for ORF and CRISPR."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact as scipy_fisher_exact
from scipy.stats.contingency import odds_ratio

from cpjump_assets.science.fisher import fisher_exact


@st.composite
def counts(draw):
    n = draw(st.integers(1, 400))
    return n, draw(st.integers(0, n)), draw(st.integers(0, n))


@settings(max_examples=300, deadline=None)
@given(counts())
def test_agrees_with_scipy(case):
    n, a, b = case
    found = fisher_exact(n, a, b)
    ratio, p = scipy_fisher_exact([[n - a, a], [n - b, b]])
    assert found.p == pytest.approx(p, rel=1e-9)
    if 0 < a < n and 0 < b < n:
        assert found.odds_ratio == pytest.approx(ratio, rel=1e-12)
        interval = odds_ratio([[n - a, a], [n - b, b]], kind="sample").confidence_interval(0.95)
        assert (found.odds_low, found.odds_high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    else:
        assert np.isnan([found.odds_ratio, found.odds_low, found.odds_high]).all()


@pytest.mark.parametrize(
    ("below", "above", "ratio", "p"),
    [
        pytest.param(146, 306, 2.1938864558897704, 6.527664430956039e-15, id="A549"),
        pytest.param(139, 346, 2.6415640994005507, 9.402652461409395e-23, id="U2OS"),
    ],
)
def test_published_orf_crispr_tests_are_of_all_3728_compound_gene_pairs(below, above, ratio, p):
    found = fisher_exact(2 * 1864, below, above)
    assert found.odds_ratio == pytest.approx(ratio, rel=1e-14)
    assert found.p == pytest.approx(p, rel=1e-9)


def test_published_orf_crispr_p_cannot_come_from_the_640_pairs_of_orf_and_crispr():
    ratios = [(640 - a) * b / (a * (640 - b)) for a in range(1, 640) for b in range(1, 640)]
    assert np.abs(np.array(ratios) - 2.1938864558897704).min() > 1e-7
    assert np.abs(np.array(ratios) - 2.6415640994005507).min() > 1e-7


def test_refuses_counts_that_are_not_of_n():
    with pytest.raises(ValueError, match="must lie in 0 to 3"):
        fisher_exact(3, 4, 0)
