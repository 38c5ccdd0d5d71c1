"""The planted features: kinds, names, parents."""

import pandas as pd
import pytest

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import FEATURE_SHARES, SimulationConfig, Size
from cpjump_assets.simulate.features import KINDS, plant_features

CONFIG = SimulationConfig()


def planted(n_features: int, seed: int = 0, config: SimulationConfig = CONFIG) -> pd.DataFrame:
    return plant_features(Size("test", n_features), seed, config)


@pytest.mark.parametrize("n_features", [20, 40, 300, 5792])
def test_each_kind_occurs_and_names_are_unique_and_sorted(n_features: int):
    table = planted(n_features)
    assert len(table) == n_features
    assert set(table["kind"]) == set(KINDS)
    assert table["feature"].is_unique and table["feature"].is_monotonic_increasing


def test_shares_are_as_configured():
    shares = planted(1000)["kind"].value_counts(normalize=True)
    for kind, share in FEATURE_SHARES.items():
        assert shares[kind] == pytest.approx(share, abs=0.002), kind


def test_a_share_of_nought_leaves_a_kind_out():
    config = SimulationConfig(feature_shares={**FEATURE_SHARES, "sparsely_missing": 0.0, "collapsed": 0.0})
    assert set(KINDS) - set(planted(60, config=config)["kind"]) == {"sparsely_missing", "collapsed"}


@pytest.mark.parametrize("n_features", [300, 5792])
def test_exactly_the_blocklisted_features_have_names_of_the_blocklist(n_features: int):
    table = planted(n_features)
    assert (table["feature"].isin(BLOCKLIST) == (table["kind"] == "blocklisted")).all()


def test_copies_follow_features_that_are_no_copies():
    table = planted(300)
    kind_of = table.set_index("feature")["kind"]
    copies = table[table["kind"].isin(["correlated", "anticorrelated"])]
    assert (table["parent"].notna() == table.index.isin(copies.index)).all()
    assert set(kind_of[copies["parent"]]) <= {"informative", "noise"}
    assert copies.loc[copies["kind"] == "anticorrelated", "parent"].is_unique  # two would correlate with each other
    assert copies["parent"].value_counts().max() > 1


def test_a_collapsed_feature_names_its_plate():
    table = planted(300)
    assert (table["collapsed_plate"].notna() == (table["kind"] == "collapsed")).all()
    assert set(table["collapsed_plate"].dropna()) <= {plate.barcode for plate in MAIN_PLATES}


def test_seeds_choose_other_features_and_the_same_seed_the_same():
    pd.testing.assert_frame_equal(planted(100), planted(100))
    assert set(planted(100)["feature"]) != set(planted(100, seed=1)["feature"])


@pytest.mark.parametrize("n_features", [5, 6000])
def test_impossible_numbers_are_refused(n_features: int):
    with pytest.raises(ValueError, match=f"{n_features} features"):
        planted(n_features)
