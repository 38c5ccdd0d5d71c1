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
metadata = _job("metadata", "Plates, reagents and wells.", "experiment_metadata", "perturbations", "wells")
profiles = _job(
    "profiles",
    "Pull, annotate, normalize and select features of plates; takes a range of plates in one run.",
    "aggregated_profiles",
    "annotated_profiles",
    "normalized_profiles",
    "normalized_profiles_whole_plate",
    "plate_selected_profiles",
)
batch = _job(
    "batch",
    "What is computed over all plates of the main batch.",
    "feature_selection",
    "selected_profiles",
    "overall_classes",
    "overall_scores",
    "overall_percent_scores",
    "overall_directionality",
    "overall_directional_pairs",
)
strategy = _job(
    "strategy",
    "Manifest, leakage audit and scores of one split strategy.",
    "split_manifest",
    "leakage_audit",
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

asset_jobs = [observe_reference, observe_gallery, metadata, profiles, batch, strategy, comparison]
