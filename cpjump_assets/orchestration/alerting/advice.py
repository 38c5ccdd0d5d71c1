"""What to do when something failed: one table, by kind and by name.

Belongs here: one or two sentences for a person who is woken by an alert. Does not belong here: what failed, and how
much (the collectors).
"""

from typing import NamedTuple

import dagster as dg

from cpjump_assets.orchestration import tables

_PROMISE = (
    "The manifest of this strategy leaks and must not be used. A refused manifest is kept in the store as "
    "splits/rejected_manifest, the last sound one stays; mend the cause (the metadata tables that it is made from), "
    "then materialize split_manifest of this strategy."
)
_CROSSES = (
    "This strategy does not promise it, so nothing is stopped: read the wells in the check's metadata before comparing "
    "scores across subsets, or take a strategy that promises it."
)
_ALTERED = "A stored table is not what it must be: the job `verify` names altered files; materialize the asset again."
_ALTERED_MANIFEST = (
    "Somebody altered the stored manifest after it was made: materialize split_manifest of this strategy again, and "
    "find out who writes to the store."
)
_PLATES = (
    "Nothing is stopped. Read the plates in the check's metadata; `cpjump doctor` says whether the gallery holds them."
)
_IMAGES = "Nothing is stopped. Read the images in the check's metadata, and leave them out of training if need be."
_LOST = "Files were altered or removed since they were made: materialize the asset again, and run the job `verify`."
_SEEN_ELSEWHERE = (
    "Profiles were fitted on wells outside of train and must not be used: materialize the train assets of this "
    "strategy again from its present manifest."
)
_UNUSABLE_NUMBERS = "Scores from this table are wrong: look for plates with missing values, then refresh."

_BY_CHECK = {
    "agrees_with_released_example": "Expected: the authors' example took the targets in another order. Nothing to do.",
    "every_eligible_well_accounted_for": _PROMISE,
    "features_without_values": _PLATES,
    "figures_as_drawn": _LOST,
    "fitted_on_train_only": _SEEN_ELSEWHERE,
    "image_sites_complete": _IMAGES,
    "images_as_listed": _IMAGES,
    "images_as_published": _IMAGES,
    "images_in_focus": _IMAGES,
    "images_not_saturated": _IMAGES,
    "images_usable": _IMAGES,
    "known_issues_in_splits": "Set CPJUMP_EXCLUDE to leave kinds of known issues out of the splits, then refresh.",
    "main_plates_pulled": _PLATES,
    "manifest_agrees_with_wells": _PROMISE,
    "manifest_as_recorded": _ALTERED_MANIFEST,
    "manifest_keys_unique": _PROMISE,
    "montages_as_drawn": _LOST,
    "no_feature_lost_to_missing_values": _PLATES,
    "plates_complete": _PLATES,
    "plates_of_sound_quality": _PLATES,
    "published_figures_reproduced": "Look at the rows of published_comparison that differ before quoting any score.",
    "reproduces_published_profiles": _PLATES,
    "same_features_on_every_plate": "Plates cannot be put together: pull the odd plates of the check's metadata again.",
    "selected_profiles_finite": _UNUSABLE_NUMBERS,
    "spherized_profiles_finite": _UNUSABLE_NUMBERS,
}

_OBSERVE = "Can the source be reached? `cpjump doctor` says; the schedule tries again."
_REFRESH = "Mend what it names, then run `cpjump refresh`: it goes on from where it stopped."
_BY_JOB = {
    "observe_reference": _OBSERVE,
    "observe_gallery": _OBSERVE,
    "observe_cells": _OBSERVE,
    "observe_images": _OBSERVE,
    "verify": "Files differ from what was recorded: do what each line says, then run verify again.",
    "prune": "Old runs stay until it succeeds; is the database at hand, and its disk not full?",
}

RECOVERED = "Nothing to do."
OVERDUE = "Is refresh_schedule or automation turned on, and does its last run succeed? `cpjump refresh` makes it now."
_SENSOR = "It runs again by itself; if it keeps failing, read its tick in the web UI and reload the code location."


class _Family(NamedTuple):
    """Checks whose names are made from others' names."""

    prefix: str
    suffix: str
    advice: str


_FAMILIES = (_Family("promise_", "", _PROMISE), _Family("", "_schema", _ALTERED))


def of_check(key: dg.AssetCheckKey) -> str:
    """Say what to do when a check fails."""
    if key.name in _BY_CHECK:
        return _BY_CHECK[key.name]
    for family in _FAMILIES:
        if key.name.startswith(family.prefix) and key.name.endswith(family.suffix):
            return family.advice
    # The other checks of a manifest are the leakage rules, by their names.
    return _CROSSES if key.asset_key == tables.SPLIT_MANIFEST.asset_key else "Read the check's metadata in the web UI."


def of_run(job: str) -> str:
    """Say what to do when a run fails."""
    return _BY_JOB.get(job, _REFRESH)


def of_instigator() -> str:
    """Say what to do when a sensor or schedule fails."""
    return _SENSOR
