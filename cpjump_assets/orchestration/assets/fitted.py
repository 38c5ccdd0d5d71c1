"""Profiles by a fit over many plates: sphered over the batch, and everything fitted on the train subset alone.

Belongs here: loading, calling science, storing, and saying on what each fit was made. Does not belong here: which wells
a fit may see (``science.train_fit``), the proof that it saw no other (``checks.fitted``).
"""

from collections.abc import Iterator
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.profiles import (
    TRANSDUCTIVE,
    normalized_profiles,
    selected_profiles,
    stored_plates,
)
from cpjump_assets.orchestration.assets.splits import sound_manifest, split_manifest
from cpjump_assets.orchestration.automation import INPUT_CHANGED, INPUT_CHANGED_AND_BATCH_MADE
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import main_batch, strategies
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.storage.store import Store, StoredProfiles, StoredTable

_COMMON: dict[str, Any] = {"group_name": "profiles", "owners": ["team:cpjump"], "kinds": {"numpy", "parquet"}}
_NORMALIZED = dg.AssetDep(normalized_profiles, partition_mapping=main_batch)


@dg.asset(
    **_COMMON,
    deps=[selected_profiles],
    automation_condition=INPUT_CHANGED,
    code_version=tables.SPHERIZED_PROFILES.code_version,
)
def spherized_profiles(platform: Platform) -> dg.MaterializeResult:
    """A row is a well of the main batch, its selected features whitened by the negative controls of the batch.

    Over the negative controls no feature varies together with another one, and each has variance 1 (ZCA of
    correlations, regularized). Transductive: the fit sees the negative controls of all plates, and the features were
    selected over all wells. `train_spherized_profiles` is fitted on the train subset of a strategy alone.
    """
    from cpjump_assets.science.spherize import fit_spherize, sphere

    store, preset = platform.store, platform.preset
    provenance = tables.provenance_from(
        tables.SPHERIZED_PROFILES.code_version,
        tables.inputs_of(store, tables.SELECTED_PROFILES.key()),
        configuration=preset.spherize,
        preset=preset,
    )
    selected = store.read_profiles(tables.SELECTED_PROFILES.key())
    controls = (selected.metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool)
    sphering = fit_spherize(selected.matrix[controls], preset.spherize, features=selected.features)
    shown = {
        **counts({"features": len(selected.features), "negative controls": controls.sum()}),
        "whitening": str(preset.spherize),
        "fitted on": f"{controls.sum():,} negative controls of all plates of the batch; {TRANSDUCTIVE}",
    }
    sphered = sphere(selected, sphering, preset.spherize, dtype="float32")
    return keep_table(store, tables.SPHERIZED_PROFILES, Made(sphered, shown), provenance)


def _spec(asset: tables.StoredAsset, description: str, *deps: Any) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset.name,
        description=cleandoc(description),
        deps=deps,
        code_version=asset.code_version,
        skippable=True,
        automation_condition=INPUT_CHANGED_AND_BATCH_MADE,
        **_COMMON,
    )


# One step: opening the plates and taking their digests costs 3.5 s of 51, which three steps would pay three times.
@dg.multi_asset(
    name="train_selection",
    partitions_def=strategies,
    specs=[
        _spec(
            tables.TRAIN_FIT_WELLS,
            """A row is a well that a fit on the train subset sees: one fit selects features, the other one whitens.

            Feature selection sees exactly the wells whose subset is train. The whitening is fitted on negative
            controls, which the default control policy gives to no subset: it sees those of the plates that hold train
            wells. In `cpjump1_official_representation` whole plates are train, validate or test, and a plate without
            train wells is not seen at all; in the other strategies plates hold wells of several subsets, and their
            negative controls are nobody's validate or test wells. Under a policy that assigns negative controls
            (`keep_all`) only those of the train subset are seen.""",
            _NORMALIZED,
            split_manifest,
        ),
        _spec(
            tables.TRAIN_FEATURE_SELECTION,
            """A row is a feature: kept, or dropped and by which rule, over the train wells of a strategy alone.

            The rules of `feature_selection`; no validate or test well, no negative control and no well outside of the
            split takes part. A check computes counts and correlations again from the train wells and proves it.""",
            _NORMALIZED,
            dg.AssetKey(tables.TRAIN_FIT_WELLS.name),
        ),
        _spec(
            tables.TRAIN_SELECTED_PROFILES,
            """A row is a well of the split, or a negative control, with the features selected on train wells alone.

            `Metadata_subset` says train, validate or test; it is missing for the negative controls of the primary
            plates, the background of every score. A well outside of train may lack a value that all train wells have:
            it is NaN here, and counted.""",
            _NORMALIZED,
            split_manifest,
            dg.AssetKey(tables.TRAIN_FEATURE_SELECTION.name),
        ),
    ],
)
def train_selection(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Select features over the train wells, and take them of all wells; make nothing where no plate has train wells."""
    import pandas as pd

    from cpjump_assets.science.errors import ProfileError
    from cpjump_assets.science.plates import MAIN_BATCH
    from cpjump_assets.science.train_fit import why_no_train_fit

    store, strategy = platform.store, context.partition_key
    keys = [tables.NORMALIZED_PROFILES.key(plate) for plate in stored_plates(store)]
    if not keys:
        raise ProfileError(f"no plate of {MAIN_BATCH} is normalized: features are selected over that batch")
    manifest = sound_manifest(context.instance, store, strategy)
    described = tables.inputs_of(store, *keys, tables.SPLIT_MANIFEST.key(strategy))
    plates = [store.open_profiles(key) for key in keys]
    inputs = _Inputs(manifest, described, plates, pd.concat([plate.metadata for plate in plates], ignore_index=True))
    impossible = why_no_train_fit(inputs.metadata, manifest)
    if impossible is not None:
        context.log.warning(f"{strategy}: {impossible}; nothing is made")
        return
    yield _keep_fit_wells(platform, strategy, inputs)
    yield _keep_selection(platform, strategy, inputs)
    yield _keep_selected(platform, strategy, inputs)


class _Inputs(NamedTuple):
    """What the selection on train is made from."""

    manifest: "pd.DataFrame"
    described: dict[str, "StoredTable"]
    plates: list["StoredProfiles"]
    metadata: "pd.DataFrame"


def _keep_fit_wells(platform: Platform, strategy: str, inputs: _Inputs) -> dg.MaterializeResult:
    from cpjump_assets.science.train_fit import TRAIN_FIT_WELLS, train_fit_wells

    asset = tables.TRAIN_FIT_WELLS
    wells = train_fit_wells(inputs.metadata, inputs.manifest, strategy)
    by_fit = wells.groupby("fit").agg(wells=("Metadata_Well", "size"), plates=("Metadata_Plate", "nunique"))
    shown = {"fits": markdown_table(by_fit.reset_index())}
    provenance = tables.provenance_from(asset.code_version, inputs.described)
    kept = keep_table(platform.store, asset, Made(wells, shown), provenance, partition=strategy, schema=TRAIN_FIT_WELLS)
    return kept._replace(asset_key=asset.asset_key)


def _keep_selection(platform: Platform, strategy: str, inputs: _Inputs) -> dg.MaterializeResult:
    from cpjump_assets.science.feature_selection import FEATURE_SELECTION
    from cpjump_assets.science.train_fit import select_on_train, train_plates

    asset, store, preset = tables.TRAIN_FEATURE_SELECTION, platform.store, platform.preset
    wells = store.read(tables.TRAIN_FIT_WELLS.key(strategy))
    selection = select_on_train(inputs.plates, wells, preset.selection)
    seen = train_plates(inputs.plates, wells)
    n_seen = sum(len(plate.metadata) for plate in seen)
    verdicts = selection["dropped_by"].fillna("kept").value_counts().rename_axis("rule").reset_index(name="features")
    shown = {
        **counts({"train wells": n_seen, "plates": len(seen), "kept features": selection["kept"].sum()}),
        "verdicts": markdown_table(verdicts),
        "fitted on": f"{n_seen:,} train wells of {len(seen)} plates and no other well",
    }
    described = inputs.described | tables.inputs_of(store, tables.TRAIN_FIT_WELLS.key(strategy))
    provenance = tables.provenance_from(asset.code_version, described, configuration=preset.selection, preset=preset)
    kept = keep_table(store, asset, Made(selection, shown), provenance, partition=strategy, schema=FEATURE_SELECTION)
    return kept._replace(asset_key=asset.asset_key)


def _keep_selected(platform: Platform, strategy: str, inputs: _Inputs) -> dg.MaterializeResult:
    from cpjump_assets.science.train_fit import missing_by_subset, take_selected

    asset, store = tables.TRAIN_SELECTED_PROFILES, platform.store
    selection = store.read(tables.TRAIN_FEATURE_SELECTION.key(strategy))
    selected = take_selected(inputs.plates, selection, inputs.manifest)
    missing = missing_by_subset(selected)
    shown = {
        **counts({"features": len(selected.features), "values missing": missing["values missing"].sum()}),
        "wells": markdown_table(missing),
        "fitted on": "train wells alone: see train_feature_selection",
    }
    described = inputs.described | tables.inputs_of(store, tables.TRAIN_FEATURE_SELECTION.key(strategy))
    provenance = tables.provenance_from(asset.code_version, described)
    kept = keep_table(store, asset, Made(selected, shown), provenance, partition=strategy)
    return kept._replace(asset_key=asset.asset_key)


@dg.asset(
    **_COMMON,
    partitions_def=strategies,
    deps=[
        split_manifest,
        dg.AssetKey(tables.TRAIN_FIT_WELLS.name),
        dg.AssetKey(tables.TRAIN_SELECTED_PROFILES.name),
    ],
    automation_condition=INPUT_CHANGED_AND_BATCH_MADE,
    code_version=tables.TRAIN_SPHERIZED_PROFILES.code_version,
)
def train_spherized_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well of the split, or a negative control, whitened by negative controls that belong to train.

    The wells and features of `train_selected_profiles`, whitened as `spherized_profiles` are, by the negative controls
    of the plates that hold train wells (see `train_fit_wells`). A value that a well lacks is taken as the centre, the
    mean of these controls; such values are counted.
    """
    from cpjump_assets.science.train_fit import sphere_on_train

    store, preset, strategy = platform.store, platform.preset, context.partition_key
    own_inputs = (tables.SPLIT_MANIFEST, tables.TRAIN_FIT_WELLS, tables.TRAIN_SELECTED_PROFILES)
    provenance = tables.provenance_from(
        tables.TRAIN_SPHERIZED_PROFILES.code_version,
        tables.inputs_of(store, *(asset.key(strategy) for asset in own_inputs)),
        configuration=preset.spherize,
        preset=preset,
    )
    selected = store.read_profiles(tables.TRAIN_SELECTED_PROFILES.key(strategy))
    wells = _sound_fit_wells(context, store, selected.metadata)
    made = sphere_on_train(selected, wells, preset.spherize)
    numbers = {
        "features": len(selected.features),
        "negative controls": made.n_reference,
        "values taken as the centre": made.n_gaps,
        "of these in the fit": made.n_reference_gaps,
    }
    shown = {
        **counts(numbers),
        "whitening": str(preset.spherize),
        "fitted on": f"{made.n_reference:,} negative controls of plates that hold train wells and no other well",
    }
    return keep_table(
        store, tables.TRAIN_SPHERIZED_PROFILES, Made(made.profiles, shown), provenance, partition=strategy
    )


def _sound_fit_wells(context: dg.AssetExecutionContext, store: "Store", metadata: "pd.DataFrame") -> "pd.DataFrame":
    """Read the wells on record and prove them again, because a check blocks only inside its own run.

    Raises
    ------
    LeakageError
        If they are not those of the metadata that the manifest lets a fit see.
    """
    from cpjump_assets.science.errors import LeakageError
    from cpjump_assets.science.train_fit import train_fit_wells

    strategy = context.partition_key
    manifest = sound_manifest(context.instance, store, strategy)
    wells = store.read(tables.TRAIN_FIT_WELLS.key(strategy))
    if not wells.equals(train_fit_wells(metadata, manifest, strategy)):
        raise LeakageError(
            f"{strategy}: the wells on record are not those that the manifest lets a fit on train see; "
            "materialize train_fit_wells again"
        )
    return wells
