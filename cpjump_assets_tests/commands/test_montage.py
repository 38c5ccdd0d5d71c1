"""``cpjump montage``: from a served gallery, and from the real images in local folders."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cpjump_assets.cli import main
from cpjump_assets.gallery.images.local_folder import Site, sites_in
from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.channels import FLUORESCENCE
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery

PLATE = next(plate for plate in MAIN_PLATES if plate.barcode == "BR00117010")
SIZE = Size("montages", n_features=20, plates=(PLATE,), levels=(), image_wells=5)


def _run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["montage", *arguments], env=environment, prog_name="cpjump")


class Served(NamedTuple):
    """A gallery with images of a few wells, and what lies in these."""

    gallery: SimulatedGallery
    server: S3Server
    sites: dict[Site, dict[str, Path]]
    wells: pd.DataFrame

    def environment(self, store: Path) -> dict[str, str]:
        return {
            "CPJUMP_GALLERY": self.gallery.gallery_url,
            "CPJUMP_S3_ENDPOINT": self.server.endpoint,
            "CPJUMP_REFERENCE": str(self.gallery.reference_root),
            "CPJUMP_STORE": str(store),
        }

    def imaged(self, *, control: bool) -> list[str]:
        """Wells that have images, by name."""
        is_control = self.wells.set_index("Metadata_Well")["Metadata_control_type"] == "negcon"
        return sorted(well for well, _ in self.sites if is_control[well] == control)

    def reagent(self, well: str) -> str:
        return self.wells.set_index("Metadata_Well").at[well, "Metadata_broad_sample"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    gallery = simulate_gallery(tmp_path_factory.mktemp("gallery"), size=SIZE, seed=3)
    (images,) = gallery.bucket_root.rglob("Images")
    wells = load_metadata(ReferenceRoot.parse(str(gallery.reference_root), endpoint=None)).wells
    on_plate = wells[(wells["Metadata_Batch"] == PLATE.batch) & (wells["Metadata_Plate"] == PLATE.barcode)]
    with S3Server(gallery.bucket_root) as server:
        yield Served(gallery, server, sites_in(images), on_plate)


@pytest.fixture
def folders(reference_root: Path) -> tuple[str, str]:
    examples = reference_root / "example_images"
    return str(examples / "AMG900"), str(examples / "DMSO")


def test_a_reagent_is_drawn_beside_the_first_negative_control_and_pulled_once(served: Served, tmp_path: Path) -> None:
    well, control = served.imaged(control=False)[0], served.imaged(control=True)[0]
    name, out = served.reagent(well), tmp_path / "montage.png"
    environment = served.environment(tmp_path / "store")
    arguments = [name, "--plate", PLATE.barcode, "--out", str(out), "--well", well]
    made = _run(*arguments, **environment)
    assert made.exit_code == 0, made.output
    assert f"{name}" in made.output and f"well {well}" in made.output and f"well {control}" in made.output
    assert "written to" in made.output
    pulled = sorted(path.name for path in (tmp_path / "store" / "gallery").rglob("*.tiff"))
    expected = [served.sites[of, 1][channel].name for of in (well, control) for channel in FLUORESCENCE]
    assert pulled == sorted(expected)
    with Image.open(out) as picture:
        assert (picture.format, picture.width) == ("PNG", 3294)
    before, first = len(served.server.requests), out.read_bytes()
    again = _run(*arguments, **environment)
    assert again.exit_code == 0, again.output
    assert out.read_bytes() == first
    asked = [request.key for request in served.server.requests[before:] if request.method == "GET" and request.key]
    assert not [key for key in asked if key.endswith(".tiff")]


def test_brightfield_and_other_wells_can_be_asked_for(served: Served, tmp_path: Path) -> None:
    whole = [well for (well, _), files in served.sites.items() if len(files) == 8]
    treated = next(well for well in whole if well in served.imaged(control=False))
    control = next(well for well in whole if well in served.imaged(control=True))
    out = tmp_path / "montage.png"
    arguments = ("--plate", str(PLATE), "--well", treated, "--control-well", control, "--brightfield", "--tile", "64")
    made = _run(served.reagent(treated), *arguments, "--out", str(out), **served.environment(tmp_path / "store"))
    assert made.exit_code == 0, made.output
    assert len(list((tmp_path / "store").rglob("*.tiff"))) == 16
    with Image.open(out) as picture:
        assert picture.width > 9 * 64


def test_a_channel_that_the_gallery_lacks_is_grey(served: Served, tmp_path: Path) -> None:
    other = served._replace(gallery=_copied(served, tmp_path / "gallery"))
    well = served.imaged(control=False)[0]
    (images,) = other.gallery.bucket_root.rglob("Images")
    sites_in(images)[well, 1]["ER"].unlink()
    broken = sites_in(images)[well, 1]["DNA"]
    broken.write_bytes(broken.read_bytes()[:5000])
    with S3Server(other.gallery.bucket_root) as server:
        environment = other._replace(server=server).environment(tmp_path / "store")
        out = tmp_path / "montage.png"
        arguments = ("--plate", PLATE.barcode, "--well", well, "--tile", "64", "--out", str(out))
        made = _run(served.reagent(well), *arguments, **environment)
    assert made.exit_code == 0, made.output
    assert f"{broken.name}: expected a whole TIFF" in made.output and "shown as absent" in made.output
    assert f"has no ER of well {well}, site 1; it is shown as absent" in made.output
    pixels = np.asarray(Image.open(out)).astype(int)
    grey = (pixels == 72).all(axis=2)
    # ER, DNA and the composite of the perturbation, and nothing of the control.
    assert grey.sum() == pytest.approx(3 * 64 * 64, rel=0.2)


def _copied(served: Served, folder: Path) -> SimulatedGallery:
    shutil.copytree(served.gallery.folder, folder)
    return SimulatedGallery(folder, SIZE, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("nosuchthing", "--plate", "BR00117010"), "holds no reagent with id, name or target 'nosuchthing'"),
        (("DMSO", "--plate", "BR00999999"), "plate 'BR00999999' is not one of the 107 acquisitions"),
        (("DMSO", "--plate", "BR00117010", "--well", "Q99"), "well Q99 does not hold DMSO, but"),
        (
            ("DMSO", "--plate", "BR00117010", "--control-well", "Q99"),
            "a plate has no well Q99: expected one of A01 to P24",
        ),
        (("DMSO", "--plate", "BR00117010", "--site", "7"), "holds no image of"),
        (("DMSO", "--plate", "BR00117010", "--budget", "1kB"), "1.00 kB"),
        (("DMSO", "--plate", "BR00117010", "--out", "picture.jpg"), "expected a name that ends in .png"),
        (("DMSO",), "give a PERTURBATION and its --plate"),
        (("--plate", "BR00117010"), "give a PERTURBATION and its --plate"),
        ((), "give a PERTURBATION and its --plate"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = _run(*options, **served.environment(tmp_path / "store"))
    assert made.exit_code == 2
    assert message in made.output
    assert "Traceback" not in made.output
    assert not list(tmp_path.rglob("*.png"))


def test_a_target_says_which_reagent_was_taken(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    targets = served.wells.groupby("Metadata_target")["Metadata_broad_sample"].unique().map(sorted)
    target, reagents = next((name, found) for name, found in targets.items() if len(found) > 1)
    made = _run(target, "--plate", PLATE.barcode, **served.environment(tmp_path / "store"))
    assert f"{target} is the target of several: {reagents[0]} is taken; also {reagents[1]}" in made.output


def test_the_real_sites_are_drawn_from_folders(
    folders: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = _run("--from-folder", folders[0], "--control-folder", folders[1], "--tile", "180")
    assert made.exit_code == 0, made.output
    assert Image.open("AMG900_N09.png").width == 1107
    assert "perturbation: AMG900 · well N09 · site 5" in made.output
    assert "negative control: DMSO · well D14 · site 5" in made.output


def test_ranges_of_the_control_show_a_faint_stain(folders: tuple[str, str], tmp_path: Path) -> None:
    made = {}
    for rule in ("paper", "control"):
        out = tmp_path / f"{rule}.png"
        arguments = ("--from-folder", folders[0], "--control-folder", folders[1], "--tile", "96", "--ranges", rule)
        assert _run(*arguments, "--out", str(out)).exit_code == 0
        made[rule] = np.asarray(Image.open(out))[:, :100, 0].astype(int)  # the column of Mito is red
    assert made["control"][80:].mean() > 1.5 * made["paper"][80:].mean()


def test_one_folder_of_several_wells_gives_both_sides(served: Served, tmp_path: Path) -> None:
    folder = str(next(iter(served.sites.values()))["DNA"].parent)
    treated, control = served.imaged(control=False)[0], served.imaged(control=True)[0]
    out = tmp_path / "both.png"
    made = _run("--from-folder", folder, "--well", treated, "--control-well", control, "--out", str(out))
    assert made.exit_code == 0, made.output
    assert f"well {treated}" in made.output and f"well {control}" in made.output
    alone = _run("--from-folder", folder, "--well", treated, "--out", str(tmp_path / "alone.png"))
    assert alone.exit_code == 0, alone.output
    assert Image.open(tmp_path / "alone.png").height < 0.7 * Image.open(out).height


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--well", "A01"), "has no image of well A01, but of N09 site 5"),
        (("--site", "2"), "has no image of site 2, but of N09 site 5"),
        (("--plate", "BR00117010"), "give a PERTURBATION and its --plate, or --from-folder"),
        (("--ranges", "control"), "--ranges control needs a control"),
    ],
)
def test_a_folder_that_lacks_something_is_one_clear_line(
    folders: tuple[str, str], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    made = _run("--from-folder", folders[0], *options, "--out", str(tmp_path / "montage.png"))
    assert made.exit_code == 2
    assert message in made.output
    assert not (tmp_path / "montage.png").exists()
