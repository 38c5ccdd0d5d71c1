import click
import pytest

from cpjump_assets.commands.choices import channels_of, plates_of, sites_of, wells_of
from cpjump_assets.science.channels import BRIGHTFIELD, FLUORESCENCE
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

MAIN, DAY_4 = "2020_11_04_CPJUMP1", "2020_11_19_TimepointDay4"


def test_plates_are_barcodes_of_the_main_batch_or_keys_each_once_in_their_order():
    text = f" BR00117011,BR00117010 ,{DAY_4}.BR00117006,{MAIN}.BR00117011,"
    expected = (PlateKey(MAIN, "BR00117011"), PlateKey(MAIN, "BR00117010"), PlateKey(DAY_4, "BR00117006"))
    assert plates_of(text) == expected


@pytest.mark.parametrize(
    ("text", "wells"),
    [
        ("A01", {"A01"}),
        ("A01,P24", {"A01", "P24"}),
        ("A01-B03", {"A01", "A02", "A03", "B01", "B02", "B03"}),
        ("B01-A02", {"A01", "A02", "B01", "B02"}),
        ("C05-C05", {"C05"}),
        ("A01-P24", set(POSITIONS.index)),
    ],
)
def test_wells_are_named_or_span_rows_and_columns(text, wells):
    assert wells_of(text) == wells


@pytest.mark.parametrize(("text", "sites"), [("1", {1}), ("1,9", {1, 9}), ("2-4,16", {2, 3, 4, 16})])
def test_sites_are_numbers_and_ranges(text, sites):
    assert sites_of(text) == sites


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("dna", {"DNA"}),
        ("Mito,highzbf", {"Mito", "HighZBF"}),
        ("fluorescence", set(FLUORESCENCE)),
        ("Brightfield", {"Brightfield"}),
        ("brightfields,ER", {*BRIGHTFIELD, "ER"}),
    ],
)
def test_channels_are_named_alone_or_as_a_group_whatever_the_case(text, channels):
    assert channels_of(text) == channels


@pytest.mark.parametrize("read", [wells_of, sites_of, channels_of])
@pytest.mark.parametrize("text", [None, "", " , "])
def test_nothing_said_is_no_restriction(read, text):
    assert read(text) is None
    assert plates_of(text) == ()


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (plates_of, "BR00000000", "'BR00000000' is not a plate of CPJUMP1"),
        (plates_of, f"{DAY_4}.BR00117010", "is not a plate of CPJUMP1"),
        (wells_of, "A25", "'A25' is no well A01 to P24"),
        (wells_of, "A1", "'A1' is no well"),
        (wells_of, "A01-", "'A01-' is no well"),
        (wells_of, "A01-B01-C01", "is no well"),
        (sites_of, "0", "'0' is no site"),
        (sites_of, "4-2", "'4-2' is no site"),
        (sites_of, "one", "'one' is no site"),
        (sites_of, "²", "is no site"),
        (channels_of, "GFP", "'GFP' is no channel; expected some of Mito, AGP, RNA, ER, DNA, HighZBF"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_could(read, text, said):
    with pytest.raises(click.BadParameter, match=said):
        read(text)


def test_a_wrong_plate_is_said_of_the_option_that_it_was_given_to():
    with pytest.raises(click.BadParameter, match="BR00000000") as caught:
        plates_of("BR00000000", option="--images")
    assert caught.value.param_hint == "--images"
