import pytest

from cpjump_assets.gallery.contents import KINDS, OF_NO_PLATE, Choice, contents_of
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import PlateKey

MAIN, DAY_4 = "2020_11_04_CPJUMP1", "2020_11_19_TimepointDay4"
PLATES = (PlateKey(MAIN, "BR00117010"), PlateKey(MAIN, "BR00117011"))
FOLDER = f"images/{MAIN}/images/BR00117010__2020-11-08T18_18_00-Measurement1"
KEYS = (
    f"images/{MAIN}/illum/BR00117010/BR00117010_IllumDNA.npy",
    f"images/{MAIN}/illum/BR00117010/BR00117010_IllumSomethingNew.npy",
    f"{FOLDER}/Images/Index.idx.xml",
    *(
        f"{FOLDER}/Images/r{row:02d}c{column:02d}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"
        for row in (1, 2)
        for column in (1, 12)
        for site in (1, 9)
        for channel in (1, 5, 8)
    ),
    f"workspace/analysis/{MAIN}/BR00117010/analysis/BR00117010-A01-1/Cells.csv",
    f"workspace/analysis/{MAIN}/BR00117010/analysis/BR00117010-A01-2/Cells.csv",
    f"workspace/analysis/{MAIN}/BR00117010/analysis/BR00117010-B12-1/Nuclei.csv",
    f"workspace/analysis/{MAIN}/BR00117010/analysis/BR00117010-B12-1/outlines/B12_s1--cell_outlines.png",
    f"workspace/backend/{MAIN}/BR00117010/BR00117010.csv",
    f"workspace/backend/{MAIN}/BR00117010/BR00117010.sqlite",
    f"workspace/load_data_csv/{MAIN}/BR00117010/load_data.csv",
    f"workspace/load_data_csv/{MAIN}/BR00117010/load_data_with_illum.csv",
    "workspace/metadata/external_metadata/JUMP-Target-1_orf_metadata.tsv",
    f"workspace/metadata/platemaps/{MAIN}/barcode_platemap.csv",
    f"workspace/metadata/platemaps/{DAY_4}/barcode_platemap.csv",
    f"workspace/profiles/{MAIN}/BR00117010/BR00117010.csv.gz",
    f"workspace/profiles/{MAIN}/BR00117010/BR00117010_a_suffix_of_tomorrow.csv.gz",
    f"workspace/profiles/{MAIN}/BR00117010/BR00117010_normalized.csv.gz",
    f"workspace/profiles/{MAIN}/BR00117010/BR00117010_normalized_negcon.csv.gz",
    f"workspace/profiles/{MAIN}/BR001170109/BR001170109.csv.gz",
    f"workspace/profiles/{MAIN}/BR00117011/BR00117011.csv.gz",
)


@pytest.fixture
def gallery(served):
    for key in KEYS:
        served.put(f"pilot/{key}", b"x")
    return Gallery(GalleryRoot(served.bucket, "pilot"), served.client, 4)


def _names(contents) -> dict[str, list[str]]:
    return {part: [item.key.rpartition("/")[2] for item in objects] for part, objects in contents.items()}


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("profiles", "workspace/profiles/"),
        ("images", "images/2020_11_04_CPJUMP1/images/"),
        ("load-data", "workspace/load_data_csv/"),
        ("illumination", "images/2020_11_04_CPJUMP1/illum/"),
        ("backends", "workspace/backend/"),
        ("metadata", "workspace/metadata/"),
    ],
)
def test_everything_that_is_listed_of_a_kind_is_there_whatever_its_name(gallery, kind, prefix):
    contents = contents_of(gallery, kind, PLATES).parts
    found = sorted(item.key for objects in contents.values() for item in objects)
    expected = [f"pilot/{key}" for key in KEYS if key.startswith(prefix) and "BR001170109" not in key]
    assert found == sorted(expected)


def test_each_plate_has_its_own_and_one_without_any_has_none(gallery):
    contents = contents_of(gallery, "backends", PLATES).parts
    assert _names(contents) == {str(PLATES[0]): ["BR00117010.csv", "BR00117010.sqlite"], str(PLATES[1]): []}
    assert contents_of(gallery, "images", PLATES).parts[str(PLATES[1])] == ()


def test_plate_maps_are_those_of_the_batches_and_metadata_belong_to_all_plates(gallery):
    contents = contents_of(gallery, "platemaps", [*PLATES, PlateKey(DAY_4, "BR00117006")]).parts
    assert _names(contents) == {MAIN: ["barcode_platemap.csv"], DAY_4: ["barcode_platemap.csv"]}
    assert list(contents_of(gallery, "metadata", ()).parts) == [OF_NO_PLATE]


@pytest.mark.parametrize(
    ("suffixes", "names"),
    [
        ({""}, ["BR00117010.csv.gz"]),
        ({"_normalized", "_nowhere"}, ["BR00117010_normalized.csv.gz"]),
        ({"_a_suffix_of_tomorrow"}, ["BR00117010_a_suffix_of_tomorrow.csv.gz"]),
    ],
)
def test_profiles_are_chosen_by_suffix(gallery, suffixes, names):
    contents = contents_of(gallery, "profiles", PLATES[:1], Choice(suffixes=frozenset(suffixes))).parts
    assert _names(contents) == {str(PLATES[0]): names}


@pytest.mark.parametrize(
    ("choice", "count", "shared"),
    [
        (Choice(), 25, ""),
        (Choice(wells=frozenset({"A01"})), 6, "r01c01"),
        (Choice(sites=frozenset({9})), 12, "f09"),
        (Choice(channels=frozenset({"DNA"})), 8, "-ch5"),
        (Choice(wells=frozenset({"B12", "P24"}), sites=frozenset({1}), channels=frozenset({"Mito"})), 1, "r02c12f01"),
    ],
)
def test_images_are_chosen_by_well_site_and_channel(gallery, choice, count, shared):
    (names,) = _names(contents_of(gallery, "images", PLATES[:1], choice).parts).values()
    assert len(names) == count
    assert all(shared in name for name in names)


def test_of_some_wells_only_those_are_listed(gallery, served):
    asked = len(served.server.requests)
    contents_of(gallery, "images", PLATES[:1], Choice(wells=frozenset({"A01", "B12"})))
    prefixes = {request.query["prefix"] for request in served.server.requests[asked:]}
    folder = f"pilot/{FOLDER}/Images/"
    assert prefixes == {f"pilot/images/{MAIN}/images/", f"{folder}r01c01", f"{folder}r02c12"}


def test_site_tables_are_chosen_by_well_and_site_and_pictures_are_none(gallery):
    def chosen(**fields):
        objects = contents_of(gallery, "analysis", PLATES[:1], Choice(**fields)).parts[str(PLATES[0])]
        return [item.key.rsplit("/", 2)[1:] for item in objects]

    assert chosen() == [
        ["BR00117010-A01-1", "Cells.csv"],
        ["BR00117010-A01-2", "Cells.csv"],
        ["BR00117010-B12-1", "Nuclei.csv"],
    ]
    assert chosen(wells=frozenset({"A01"}), sites=frozenset({2})) == [["BR00117010-A01-2", "Cells.csv"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_gallery_that_cannot_be_listed_is_an_error(served, kind):
    gallery = Gallery(GalleryRoot("nowhere", "pilot"), served.client, 4)
    with pytest.raises(GalleryError, match=r"the listing of s3://nowhere/pilot/.* does not exist"):
        contents_of(gallery, kind, PLATES)


def test_what_was_listed_as_a_whole_is_there_whatever_was_wanted_of_it(gallery):
    prefix = f"pilot/workspace/profiles/{MAIN}/BR00117010/"
    contents = contents_of(gallery, "profiles", PLATES, Choice(suffixes=frozenset({"_normalized"})))
    assert len(contents.parts[str(PLATES[0])]) == 1
    assert [item.key for item in contents.folders[prefix]] == sorted(
        f"pilot/{key}" for key in KEYS if f"pilot/{key}".startswith(prefix)
    )
    assert contents_of(gallery, "images", PLATES[:1], Choice(sites=frozenset({1}))).folders.keys() == {
        f"pilot/{FOLDER}/"
    }
    assert contents_of(gallery, "images", PLATES[:1], Choice(wells=frozenset({"A01"}))).folders == {}
