"""The genes of each profile, against a loop over the reagents."""

import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.target_lists import with_target_lists

REAGENTS = pd.DataFrame(
    {"Metadata_broad_sample": ["DMSO", "c1", "c2", "g1"], "Metadata_target_list": [None, "A|B", "B", "A"]}
).astype("str")


def _metadata(*samples):
    return pd.DataFrame({"Metadata_Well": [f"A{n:02}" for n in range(len(samples))], "Metadata_broad_sample": samples})


def test_each_profile_gets_the_genes_of_its_reagent_in_the_order_of_the_profiles():
    metadata = _metadata("g1", "c1", "DMSO", "c1", "empty", "c2")
    found = with_target_lists(metadata, REAGENTS)
    assert found["Metadata_target_list"].fillna("none").tolist() == ["A", "A|B", "none", "A|B", "none", "B"]
    pd.testing.assert_frame_equal(found[metadata.columns.tolist()], metadata)
    assert "Metadata_target_list" not in metadata


def test_controls_alone_have_a_column_of_text_all_the_same():
    found = with_target_lists(_metadata("DMSO", "empty"), REAGENTS)
    assert isinstance(found["Metadata_target_list"].dtype, pd.StringDtype)
    assert found["Metadata_target_list"].isna().all()


def test_a_reagent_that_nobody_knows_is_named():
    with pytest.raises(BadTableError, match="2 reagents of profiles are not in perturbations: c8, c9"):
        with_target_lists(_metadata("c9", "c1", "c8", "c8"), REAGENTS)
