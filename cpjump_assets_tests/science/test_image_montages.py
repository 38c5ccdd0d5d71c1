"""Which sites stand beside each other: brute force over small tables, and the cases that matter."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.channels import BRIGHTFIELD, FLUORESCENCE
from cpjump_assets.science.image_montages import MontageSite, plan_montages

ROLES = {"DMSO": "negative control", "P": "positive control"}


def _images(*rows):
    """Give a table of (well, site, channel, reagent, status)."""
    columns = ["Metadata_Well", "Metadata_Site", "channel", "Metadata_broad_sample", "status"]
    table = pd.DataFrame(rows, columns=columns).astype({"Metadata_Site": "int64"})
    table["role"] = table["Metadata_broad_sample"].map(lambda name: ROLES.get(name, "perturbation"))
    named = table["Metadata_Well"] + "_" + table["Metadata_Site"].astype(str) + "_" + table["channel"]
    held = table["status"] != "absent"
    return table.assign(path=("x/" + named).where(held), sha256=named.where(held))


def _site(well, reagent, *, site=1, lacking=(), channels=FLUORESCENCE):
    return [(well, site, name, reagent, "absent" if name in lacking else "held") for name in channels]


def _where(site: MontageSite | None):
    return None if site is None else (site.well, site.site)


def test_one_well_of_each_reagent_and_every_control_well_stand_on_montages():
    images = _images(
        *_site("C05", "B"),
        *_site("B07", "B"),
        *_site("B02", "P", site=2),
        *_site("B02", "P", site=1),
        *_site("A03", "DMSO"),
        *_site("A01", "DMSO"),
    )
    plan = plan_montages(images.sample(frac=1, random_state=0))
    assert [(site.broad_sample, *_where(site)) for site in plan.perturbations] == [("P", "B02", 1), ("B", "B07", 1)]
    assert [_where(site) for site in plan.controls] == [("A01", 1), ("A03", 1)]
    assert list(plan.controls[0].images) == list(FLUORESCENCE)
    assert plan.controls[0].images["DNA"].path == "x/A01_1_DNA"


@pytest.mark.parametrize(
    ("lacking", "chosen"),
    [
        ({}, "A01"),
        ({"A01": ["DNA"]}, "A03"),
        ({"A01": ["DNA"], "A03": ["ER"]}, "A05"),
        ({"A01": ["DNA", "ER"], "A03": ["ER"], "A05": ["Mito"]}, "A03"),
        (dict.fromkeys(("A01", "A03", "A05"), FLUORESCENCE), "A01"),
    ],
)
def test_the_control_is_the_first_well_that_is_whole_or_lacks_least(lacking, chosen):
    sites = [row for well in ("A01", "A03", "A05") for row in _site(well, "DMSO", lacking=lacking.get(well, ()))]
    control = plan_montages(_images(*sites)).control
    assert control.well == chosen
    assert list(control.absent) == [name for name in FLUORESCENCE if name in lacking.get(chosen, ())]


def test_brightfield_is_held_too_and_is_never_missed():
    images = _images(*_site("A01", "B", channels=(*FLUORESCENCE, *BRIGHTFIELD), lacking=["LowZBF"]))
    (site,) = plan_montages(images).perturbations
    assert list(site.images) == [*FLUORESCENCE, "HighZBF", "Brightfield"]
    assert site.absent == ()


def test_an_image_that_cannot_be_used_is_not_held():
    images = _images(*_site("A01", "B"))
    images.loc[images["channel"] == "RNA", "status"] = "unusable"
    assert plan_montages(images).perturbations[0].absent == ("RNA",)


def test_without_controls_or_without_anything_there_is_a_plan():
    assert plan_montages(_images(*_site("A01", "B"))).control is None
    empty = plan_montages(_images(*_site("A01", "B")).iloc[:0])
    assert (empty.perturbations, empty.controls) == ((), ())


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["A01", "A02", "B01", "B02"]), st.integers(1, 3)),
        st.sets(st.sampled_from(FLUORESCENCE)),
        min_size=1,
    ),
    st.fixed_dictionaries(dict.fromkeys(["A01", "A02", "B01", "B02"], st.sampled_from(["DMSO", "P", "B"]))),
)
def test_any_selection_is_planned_as_by_hand(sites, reagents):
    rows = [row for (well, at), lacks in sites.items() for row in _site(well, reagents[well], site=at, lacking=lacks)]
    plan = plan_montages(_images(*rows))
    first: dict[str, tuple[str, int]] = {}
    for well, at in sorted(sites):
        name = well if reagents[well] == "DMSO" else reagents[well]
        first.setdefault(name, (well, at))
    assert {_where(site) for site in (*plan.perturbations, *plan.controls)} == set(first.values())
    for site in (*plan.perturbations, *plan.controls):
        assert set(site.absent) == sites[site.well, site.site]
    controls = [(len(sites[where]), where) for where in first.values() if reagents[where[0]] == "DMSO"]
    assert _where(plan.control) == (min(controls)[1] if controls else None)
