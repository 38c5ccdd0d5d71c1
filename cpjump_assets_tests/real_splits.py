"""The three manifests and audits of the published tables, made once a process for whatever shows them."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.leakage import audit
from cpjump_assets.science.splits import split_manifest
from cpjump_assets.science.strategies import STRATEGIES


class RealSplits(NamedTuple):
    """Manifest and audit of each strategy; read only."""

    manifests: dict[str, pd.DataFrame]
    audits: dict[str, pd.DataFrame]


@cache
def real_splits(reference_root: Path) -> RealSplits:
    metadata = load_metadata(ReferenceRoot.parse(str(reference_root)))
    manifests = {strategy: split_manifest(metadata.wells, strategy) for strategy in STRATEGIES}
    audits = {
        strategy: audit(manifest, metadata.wells, metadata.perturbations, strategy=strategy)
        for strategy, manifest in manifests.items()
    }
    return RealSplits(manifests, audits)
