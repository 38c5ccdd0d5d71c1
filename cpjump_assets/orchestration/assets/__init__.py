"""The assets, one module for each group; the group benchmark has two, scores and reports.

Belongs here: functions that load, call science, store and describe. Does not belong here: rules, scores, plots.
"""

from cpjump_assets.orchestration.assets import benchmark, metadata, profiles, reports, sources, splits

all_assets = [
    sources.reference_tables,
    sources.gallery_profiles,
    metadata.experiment_metadata,
    metadata.perturbations,
    metadata.wells,
    splits.split_manifest,
    splits.leakage_audit,
    profiles.aggregated_profiles,
    profiles.annotated_profiles,
    profiles.normalized_profiles,
    profiles.normalized_profiles_whole_plate,
    profiles.plate_selected_profiles,
    profiles.feature_selection,
    profiles.selected_profiles,
    benchmark.overall,
    benchmark.benchmark,
    benchmark.overall_percent_scores,
    benchmark.benchmark_percent_scores,
    benchmark.overall_directions,
    benchmark.benchmark_directionality,
    reports.published_comparison,
    reports.benchmark_figures,
]
