"""The asset jobs: what a run may make together.

Belongs here: selections of assets. Does not belong here: what an asset does, or the order in which a refresh runs the
jobs (``refresh``).
"""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

STORE_TAG = "cpjump/store"
"""Runs of these jobs that the web UI launches queue behind each other (dagster.yaml): they write the same tables."""


def _job(name: str, description: str, *assets: str) -> "UnresolvedAssetJobDefinition":
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        description=description,
        tags={STORE_TAG: "main"},
        executor_def=dg.in_process_executor,
    )


observe_reference = _job("observe_reference", "Look at the reference tables.", "reference_tables")
observe_gallery = _job("observe_gallery", "List the plates' profiles in the gallery.", "gallery_profiles")
observe_cells = _job("observe_cells", "List the plates' single-cell backends in the gallery.", "gallery_cells")
observe_images = _job(
    "observe_images",
    "List the images of plates in the gallery, 28 requests each; no part of the default refresh.",
    "gallery_images",
)
metadata = _job(
    "metadata",
    "Plates, reagents, wells and known issues.",
    "experiment_metadata",
    "perturbations",
    "wells",
    "known_issues",
)
single_cells = _job(
    "single_cells",
    "Pull the single cells of plates, some 23 GB each, and aggregate them; no part of the default refresh.",
    "cell_median_profiles",
    "cell_mean_profiles",
)
profiles = _job(
    "profiles",
    "Pull, annotate, normalize and select features of plates; takes a range of plates in one run.",
    "aggregated_profiles",
    "annotated_profiles",
    "normalized_profiles",
    "normalized_profiles_whole_plate",
    "plate_selected_profiles",
    "well_quality",
)
batch = _job(
    "batch",
    "What is computed over all plates of the main batch.",
    "feature_selection",
    "selected_profiles",
    "spherized_profiles",
    "plate_quality",
    "overall_classes",
    "overall_scores",
    "overall_percent_scores",
    "overall_directionality",
    "overall_directional_pairs",
)
reproduction = _job(
    "reproduction",
    "Compare our profiles with the published files of the same levels; takes a range of plates in one run.",
    "profile_reproduction",
)
# Not by the name of the asset: Dagster wants the names of jobs and of assets to differ.
plate_images = _job(
    "plate_images",
    "Index the images of plates, pull a selection, open, measure and draw it; no part of the default refresh.",
    "image_index",
    "images",
    "image_quality",
    "montages",
)
strategy = _job(
    "strategy",
    "Manifest, leakage audit, profiles fitted on train alone and scores of one split strategy.",
    "split_manifest",
    "leakage_audit",
    "train_fit_wells",
    "train_feature_selection",
    "train_selected_profiles",
    "train_spherized_profiles",
    "benchmark_classes",
    "benchmark_scores",
    "benchmark_percent_scores",
    "benchmark_directionality",
)
comparison = _job(
    "comparison",
    "Published figures beside ours, and the figures of the papers drawn from our tables.",
    "published_comparison",
    "benchmark_figures",
)

asset_jobs = [
    observe_reference,
    observe_gallery,
    observe_cells,
    observe_images,
    metadata,
    single_cells,
    profiles,
    batch,
    reproduction,
    plate_images,
    strategy,
    comparison,
]
