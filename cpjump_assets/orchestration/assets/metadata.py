"""Metadata: plates, reagents and wells, from the reference tables.

Belongs here: loading reference files, calling science, storing. Does not belong here: what the columns mean.
"""

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.sources import reference_tables
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.display import counts, preview

_COMMON = {"group_name": "metadata", "owners": ["team:cpjump"], "kinds": {"pandas", "parquet"}}


@dg.asset(**_COMMON, deps=[reference_tables], code_version=tables.EXPERIMENT_METADATA.code_version)
def experiment_metadata(platform: Platform) -> dg.MaterializeResult:
    """A row is a plate acquisition: 117 published ones, the 10 of the DeepProfiler batch included.

    Cell line, modality, time point, density, antibiotics, anomaly and number of images, and whether the plate is one of
    the 40 primary plates that the benchmark scores.
    """
    from cpjump_assets.gallery.reference import read_table
    from cpjump_assets.science.experiments import build_experiment_metadata
    from cpjump_assets.science.schemas import EXPERIMENT_METADATA

    files = platform.reference.files("experiment-metadata")
"""
"""
