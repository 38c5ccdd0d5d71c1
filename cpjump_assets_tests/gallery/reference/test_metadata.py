import shutil

import pytest

from cpjump_assets.gallery.reference.metadata import load_experiment_metadata, load_metadata, load_perturbations
from cpjump_assets.gallery.reference.root import ReferenceRoot

ADDITIONAL = "JUMP-Target-1_compound_metadata_additional_annotations.tsv"
TARGETS = "JUMP-Target-1_compound_metadata_targets.tsv"


def test_the_real_reference_root_gives_the_three_tables(reference_root):
    metadata = load_metadata(ReferenceRoot.parse(str(reference_root)))
    assert len(metadata.experiment_metadata) == 117
    assert len(metadata.perturbations) == 817
    assert len(metadata.wells) == 107 * 384
    assert metadata.wells["Metadata_eligible"].sum() == 12_729


def test_each_table_names_the_files_it_was_made_from(reference_root):
    loaded = load_experiment_metadata(ReferenceRoot.parse(str(reference_root)))
    assert loaded.inputs == {
        "benchmark/output/experiment-metadata.tsv": "86d845dc152cbc3569072160e5881d550364dd9caf0336e5daa6adc5b63b1852"
    }


@pytest.mark.parametrize("has_additional", [False, True])
def test_the_table_says_where_its_target_lists_are_from(reference_root, tmp_path, has_additional):
    for folder in ("datasplits", "metadata/moa"):
        shutil.copytree(reference_root / folder, tmp_path / folder, copy_function=shutil.copyfile)
    if has_additional:
        (tmp_path / "benchmark" / "input").mkdir(parents=True)
        shutil.copyfile(reference_root / "metadata" / "moa" / TARGETS, tmp_path / "benchmark" / "input" / ADDITIONAL)
    table = load_perturbations(ReferenceRoot.parse(str(tmp_path))).table
    compounds = table[table["Metadata_experiment_type"] == "Compound"]
    assert set(compounds["Metadata_target_list_source"].dropna()) == {ADDITIONAL if has_additional else TARGETS}
