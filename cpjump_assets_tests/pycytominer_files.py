"""The published files of simulated plates, made anew by pycytominer: an oracle for ours and for the simulated gallery.

The definition is that of the release which the 2024 paper pinned, by the functions of pycytominer 1.7.1: epsilon 0,
``unique_cut`` 0.1, and every rule of feature selection asked about all features, where 1.7.1 hides from a rule what the
rules before it have dropped. Every step reads the text that the step before has written.
"""

import gzip
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pycytominer import normalize
from pycytominer.cyto_utils import get_blocklist_features
from pycytominer.operations import correlation_threshold, frequency_threshold, get_na_columns

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.features import is_feature
from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.writer import SimulatedGallery

NEGCON = "Metadata_control_type == 'negcon'"
Levels = dict[Level, dict[PlateKey, pd.DataFrame]]


def published_levels(gallery: SimulatedGallery, wells: pd.DataFrame) -> Levels:
    """Make all levels of all plates of a gallery from its aggregated files; they count as one batch.

    Parameters
    ----------
    wells
        The platform's table of wells: says which are negative controls.
    """
    root = GalleryRoot.parse(gallery.gallery_url)
    annotated = {
        plate: _annotated(pd.read_csv(gallery.object_path(root.profile_key(plate))), plate, wells)
        for plate in gallery.size.plates
    }
    normalized = {plate: _normalized(frame, NEGCON) for plate, frame in annotated.items()}
    batch = pd.concat(normalized.values(), ignore_index=True)
    kept = _kept(batch)
    # A value that is missing or infinite cannot be sphered: those features are left out, as ours are.
    complete = [name for name in kept if np.isfinite(batch[name]).all()]
    sphered = normalize(
        batch[[*_metadata(batch), *complete]],
        features=complete,
        meta_features=_metadata(batch),
        samples=NEGCON,
        method="spherize",
    )
    return {
        "annotated": annotated,
        "normalized": normalized,
        "normalized_whole_plate": {plate: _normalized(frame, "all") for plate, frame in annotated.items()},
        "plate_selected": {plate: frame[[*_metadata(frame), *_kept(frame)]] for plate, frame in normalized.items()},
        "selected": {plate: frame[[*_metadata(frame), *kept]] for plate, frame in normalized.items()},
        # As the files of the real gallery, which hold the wells of several plates each.
        "spherized": dict.fromkeys(annotated, _through_text(sphered)),
    }


def put(gallery: SimulatedGallery, levels: Mapping[Level, Mapping[PlateKey, pd.DataFrame]]) -> None:
    """Put files of levels into the served bucket, in place of those that are there."""
    root = GalleryRoot.parse(gallery.gallery_url)
    for level, frames in levels.items():
        for plate, frame in frames.items():
            text = frame.to_csv(index=False, float_format="%.5g")
            gallery.object_path(root.level_key(plate, level)).write_bytes(gzip.compress(text.encode(), 1, mtime=0))


def _annotated(aggregated: pd.DataFrame, plate: PlateKey, wells: pd.DataFrame) -> pd.DataFrame:
    on_plate = wells[(wells["Metadata_Batch"] == plate.batch) & (wells["Metadata_Plate"] == plate.barcode)]
    reagents = on_plate[["Metadata_Well", "Metadata_broad_sample", "Metadata_control_type"]]
    return reagents.merge(aggregated, on="Metadata_Well")


def _normalized(annotated: pd.DataFrame, samples: str) -> pd.DataFrame:
    return _through_text(
        normalize(
            annotated,
            features=_features(annotated),
            meta_features=_metadata(annotated),
            samples=samples,
            method="mad_robustize",
            mad_robustize_epsilon=0,
        )
    )


def _kept(normalized: pd.DataFrame) -> list[str]:
    features = _features(normalized)
    dropped = {
        *frequency_threshold(normalized, features=features, unique_cut=0.1),
        *correlation_threshold(normalized, features=features),
        *get_na_columns(normalized, features=features, cutoff=0.05),
        *get_blocklist_features(),
    }
    return [name for name in features if name not in dropped]


def _through_text(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(frame.to_csv(index=False, float_format="%.5g")))


def _features(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if is_feature(name)]


def _metadata(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if not is_feature(name)]
