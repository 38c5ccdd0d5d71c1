"""The stored tables: one name, group and code version for each asset that writes one.

Belongs here: what the assets and checks agree on about a table's place and version. Does not belong here: columns
(``science.schemas``), how a table is made (``assets``).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

if TYPE_CHECKING:
    from cpjump_assets.science.presets import ProfilePreset
    from cpjump_assets.storage.store import Provenance, Store, StoredTable, TableKey


class StoredAsset(NamedTuple):
    """An asset whose value is a table of the store."""

    group: str
    name: str
    code_version: str

    @property
    def asset_key(self) -> dg.AssetKey:
        """Give the Dagster key."""
        return dg.AssetKey(self.name)

    def key(self, partition: str | None = None) -> "TableKey":
        """Give the place of the table, or of one of its partitions."""
        from cpjump_assets.storage.store import TableKey

        return TableKey(self.group, self.name, partition)

    def stored(self, store: "Store", partitions: Iterable[str]) -> list[str]:
        """Choose the partitions whose tables are in the store, by one look at their folder."""
        names = set(store.file_names(f"{self.group}/{self.name}"))
        return [partition for partition in partitions if f"{self.key(partition)}.parquet" in names]


# A code version rises when the code would make another table from the same inputs.
EXPERIMENT_METADATA = StoredAsset("metadata", "experiment_metadata", "1")
PERTURBATIONS = StoredAsset("metadata", "perturbations", "1")
WELLS = StoredAsset("metadata", "wells", "1")
KNOWN_ISSUES = StoredAsset("metadata", "known_issues", "1")
SPLIT_MANIFEST = StoredAsset("splits", "split_manifest", "1")
REJECTED_MANIFEST = StoredAsset("splits", "rejected_manifest", "1")
"""No asset: a manifest that broke its promises, kept for inspection until a sound one is made."""
LEAKAGE_AUDIT = StoredAsset("splits", "leakage_audit", "1")
AGGREGATED_PROFILES = StoredAsset("profiles", "aggregated_profiles", "2")
ANNOTATED_PROFILES = StoredAsset("profiles", "annotated_profiles", "2")
NORMALIZED_PROFILES = StoredAsset("profiles", "normalized_profiles", "2")
NORMALIZED_WHOLE_PLATE = StoredAsset("profiles", "normalized_profiles_whole_plate", "2")
FEATURE_SELECTION = StoredAsset("profiles", "feature_selection", "2")
SELECTED_PROFILES = StoredAsset("profiles", "selected_profiles", "2")
PLATE_SELECTED_PROFILES = StoredAsset("profiles", "plate_selected_profiles", "2")
SPHERIZED_PROFILES = StoredAsset("profiles", "spherized_profiles", "1")
TRAIN_FIT_WELLS = StoredAsset("profiles", "train_fit_wells", "1")
TRAIN_FEATURE_SELECTION = StoredAsset("profiles", "train_feature_selection", "1")
TRAIN_SELECTED_PROFILES = StoredAsset("profiles", "train_selected_profiles", "1")
TRAIN_SPHERIZED_PROFILES = StoredAsset("profiles", "train_spherized_profiles", "1")
CELL_MEDIAN_PROFILES = StoredAsset("profiles", "cell_median_profiles", "1")
CELL_MEAN_PROFILES = StoredAsset("profiles", "cell_mean_profiles", "1")
PROFILE_REPRODUCTION = StoredAsset("profiles", "profile_reproduction", "1")
WELL_QUALITY = StoredAsset("profiles", "well_quality", "1")
PLATE_QUALITY = StoredAsset("profiles", "plate_quality", "1")
IMAGE_INDEX = StoredAsset("images", "image_index", "1")
IMAGES = StoredAsset("images", "images", "1")
IMAGE_QUALITY = StoredAsset("images", "image_quality", "1")
MONTAGES = StoredAsset("images", "montages", "1")
"""The list of a plate's montages; the files themselves lie in ``MONTAGES_FOLDER`` of the store, a folder a plate."""
OVERALL_CLASSES = StoredAsset("benchmark", "overall_classes", "2")
OVERALL_SCORES = StoredAsset("benchmark", "overall_scores", "2")
BENCHMARK_CLASSES = StoredAsset("benchmark", "benchmark_classes", "2")
BENCHMARK_SCORES = StoredAsset("benchmark", "benchmark_scores", "2")
OVERALL_PERCENT_SCORES = StoredAsset("benchmark", "overall_percent_scores", "1")
BENCHMARK_PERCENT_SCORES = StoredAsset("benchmark", "benchmark_percent_scores", "1")
OVERALL_DIRECTIONALITY = StoredAsset("benchmark", "overall_directionality", "1")
OVERALL_DIRECTIONAL_PAIRS = StoredAsset("benchmark", "overall_directional_pairs", "1")
BENCHMARK_DIRECTIONALITY = StoredAsset("benchmark", "benchmark_directionality", "1")
PUBLISHED_COMPARISON = StoredAsset("benchmark", "published_comparison", "2")
BENCHMARK_FIGURES = StoredAsset("benchmark", "benchmark_figures", "2")
"""The list of the figures; the files themselves lie in ``FIGURES_FOLDER`` of the store."""

FIGURES_FOLDER = "benchmark/figures"
MONTAGES_FOLDER = "images/montages"

REFRESH_TAG = "cpjump/refresh"
"""Run tag that all runs of one refresh share."""
EXECUTED_BY_TAG = "cpjump/executed_by"
"""Run tag with the run in whose process a run of a refresh works."""

REFERENCE_ORIGIN = "reference tables"
_AND = " + "


def inputs_of(store: "Store", *keys: "TableKey") -> dict[str, "StoredTable"]:
    """Describe the input tables, by their keys.

    Raises
    ------
    StoreError
        If one of them was never made.
    """
    return {str(key): store.describe(key) for key in keys}


def provenance_from(
    code_version: str,
    inputs: dict[str, "StoredTable"],
    *,
    configuration: object = None,
    preset: "ProfilePreset | None" = None,
) -> "Provenance":
    """Give the provenance of a table made from other tables of the store.

    The origin travels along: what was made from simulated data says so, however many steps later. A configuration (a
    dataclass, or a tuple of several of one class) counts like an input: another one makes another table. The preset is
    named where the table takes a parameter of it, and travels along like the origin.
    """
    from cpjump_assets.storage.store import Provenance

    return Provenance(
        code_version=code_version,
        inputs={name: table.digest for name, table in inputs.items()} | _configuration_digest(configuration),
        origin=_common_origin(table.provenance.origin for table in inputs.values()),
        preset=preset.name if preset else _common_preset(inputs.values()),
    )


def provenance_of_reference(asset: StoredAsset, inputs: Mapping[str, str]) -> "Provenance":
    """Give the provenance of a table made from reference files, and perhaps from other metadata tables."""
    from cpjump_assets.storage.store import Provenance

    return Provenance(code_version=asset.code_version, inputs=inputs, origin=REFERENCE_ORIGIN)


def _configuration_digest(configuration: Any) -> dict[str, str]:
    if configuration is None:
        return {}
    if isinstance(configuration, tuple):
        name, values = type(configuration[0]).__name__, [asdict(one) for one in configuration]
    else:
        name, values = type(configuration).__name__, asdict(configuration)
    content = json.dumps(values, sort_keys=True, default=sorted)  # the default serves sets
    return {name: hashlib.sha256(content.encode()).hexdigest()}


def _common_preset(inputs: Iterable["StoredTable"]) -> str | None:
    """Give the preset that the inputs were made by; all presets have tables of their own, so it is one or none."""
    named = {table.provenance.preset for table in inputs} - {None}
    return _AND.join(sorted(named)) or None


def _common_origin(origins: Iterable[str]) -> str:
    """Join the origins; reference tables are annotations and say nothing of where the measurements come from."""
    named = {part for origin in origins for part in origin.split(_AND)}
    return _AND.join(sorted(named - {REFERENCE_ORIGIN})) or REFERENCE_ORIGIN
