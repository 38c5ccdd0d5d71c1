"""What is out of date: made from another data version of an input than the present one.

Belongs here: comparing the versions that an asset was made from with the present ones. Does not belong here: what
follows from it (``automation``).

Dagster says the same of one partition at a time, *unsynced* in the web UI, and asks its storage twice for each plate
of each input: 1,800 questions after a refresh of six plates. Here each input is asked for once, and what Dagster wrote
down when the asset was made is computed again. The tests hold that both say the same.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
    get_input_data_version_tag,
)

Partition = str | None
"""Partition key; None stands for the whole of an asset without partitions."""


def outdated_partitions(
    instance: dg.DagsterInstance, graph: BaseAssetGraph, key: dg.AssetKey, partitions: Collection[Partition]
) -> set[Partition]:
    """Give the partitions of an asset that were made from other data than there is now.

    A partition that was never made is not among them, and another version of the code is no reason.

    Parameters
    ----------
    instance
        Where the versions are recorded.
    graph
        Says what the asset depends on.
    key
        The asset.
    partitions
        Partitions to look at; ``{None}`` for an asset without partitions.
    """
    made_from = _recorded_tags(instance, key, partitions)
    outdated: set[Partition] = set()
    for parent in graph.get(key).parent_keys:
        recorded = {
            partition: tags[get_input_data_version_tag(parent)]
            for partition, tags in made_from.items()
            if get_input_data_version_tag(parent) in tags
        }
        present = _present_versions(instance, graph, parent)
        for partition, version in recorded.items():
            inputs = _input_versions(graph, key, partition, parent, present)
            if inputs and version not in _ways_to_record(inputs):
                outdated.add(partition)
    return outdated


def _recorded_tags(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Collection[Partition]
) -> dict[Partition, Mapping[str, str]]:
    """Give the tags of the latest materialization of each partition: Dagster keeps input versions there."""
    keys = {partition for partition in partitions if partition is not None}
    if keys:
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        latest = instance.event_log_storage.get_latest_storage_id_by_partition(key, kind, partitions=keys)
        if not latest:
            return {}
        asked = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(latest.values()))
        records = instance.fetch_materializations(asked, limit=len(latest)).records
    else:
        records = instance.fetch_materializations(key, limit=1).records if partitions else []
    materializations = (record.asset_materialization for record in records)
    return {made.partition: made.tags or {} for made in materializations if made is not None}


def _present_versions(instance: dg.DagsterInstance, graph: BaseAssetGraph, key: dg.AssetKey) -> Mapping[Partition, str]:
    """Give the data version of each partition of an asset that was made, or observed."""
    node = graph.get(key)
    if node.is_partitioned:
        made, seen = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION
        kind = made if node.is_materializable else seen
        tags = instance.event_log_storage.get_latest_tags_by_partition(key, kind, [DATA_VERSION_TAG])
        return {partition: found[DATA_VERSION_TAG] for partition, found in tags.items()}
    record = instance.get_latest_data_version_record(key, is_source=not node.is_materializable)
    version = None if record is None else extract_data_version_from_entry(record.event_log_entry)
    return {} if version is None else {None: version.value}


def _input_versions(
    graph: BaseAssetGraph, key: dg.AssetKey, partition: Partition, parent: dg.AssetKey, present: Mapping[Partition, str]
) -> list[str]:
    """Give the present versions of what a partition depends on, in the order in which Dagster joins them."""
    if not graph.get(parent).is_partitioned:
        return list(present.values())
    upstream = graph.get_parent_partition_keys_for_child(partition, parent, key).partitions_subset
    return [present[name] for name in sorted(upstream.get_partition_keys()) if name in present]


def _ways_to_record(inputs: list[str]) -> set[str]:
    """Give the ways in which input versions may be on record: Dagster digests those of partitions, a plate's are plain.

    Dagster digests the versions of fewer than 100 partitions; the main batch has 51.
    """
    digest = sha256("".join(inputs).encode()).hexdigest()
    return {digest, inputs[0]} if len(inputs) == 1 else {digest}
