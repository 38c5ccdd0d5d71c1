"""The assets, one module for each group; benchmark has two, and images index, files and montages.

Belongs here: functions that load, call science, store and describe. Does not belong here: rules, scores, plots.
"""

import dagster as dg

from cpjump_assets.orchestration.assets import (
    benchmark,
    fitted,
    image_files,
    images,
    metadata,
    montages,
    profiles,
    quality,
    reports,
    reproduction,
    single_cells,
    sources,
    splits,
)
from cpjump_assets.science.preset_names import PRESETS_FROM_CELLS

_SHARED = [
    sources.reference_tables,
    sources.gallery_profiles,
    single_cells.gallery_cells,
    single_cells.cell_median_profiles,
    single_cells.cell_mean_profiles,
    metadata.experiment_metadata,
    metadata.perturbations,
    metadata.wells,
    metadata.known_issues,
    splits.split_manifest,
    splits.leakage_audit,
    profiles.annotated_profiles,
    profiles.normalized_profiles,
    profiles.normalized_profiles_whole_plate,
    profiles.plate_selected_profiles,
    profiles.feature_selection,
    profiles.selected_profiles,
    fitted.spherized_profiles,
    fitted.train_selection,
    fitted.train_spherized_profiles,
    quality.well_quality,
    quality.plate_quality,
    images.gallery_images,
    images.image_index,
    image_files.images,
    image_files.image_quality,
    montages.montages,
    reproduction.profile_reproduction,
    benchmark.overall,
    benchmark.benchmark,
    benchmark.overall_percent_scores,
    benchmark.benchmark_percent_scores,
    benchmark.overall_directions,
    benchmark.benchmark_directionality,
    reports.published_comparison,
    reports.benchmark_figures,
]


def assets_of(preset: str) -> list[dg.AssetsDefinition | dg.SourceAsset]:
    """Give the assets of a preset: they differ in what the aggregated profiles are made from, and lineage shows it."""
    from_cells = preset in PRESETS_FROM_CELLS
    return [*_SHARED, single_cells.aggregated_from_cells if from_cells else profiles.aggregated_profiles]
