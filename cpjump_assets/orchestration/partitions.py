"""The partitions: plate acquisitions and split strategies.

Belongs here: the two static partition definitions and the mappings between them and unpartitioned tables. Both are
constants of the published data set, so that they are reviewed with the code and need no state in the instance.
"""

import dagster as dg

from cpjump_assets.science.plates import MAIN_PLATES, PLATES
from cpjump_assets.science.strategies import STRATEGIES

PLATE_KEYS = [str(plate) for plate in PLATES]
MAIN_PLATE_KEYS = [str(plate) for plate in MAIN_PLATES]

plates = dg.StaticPartitionsDefinition(PLATE_KEYS)
strategies = dg.StaticPartitionsDefinition(list(STRATEGIES))

main_batch = dg.SpecificPartitionsPartitionMapping(MAIN_PLATE_KEYS)
"""What is computed over the batch depends on the 51 plates of the main batch, and on no other plate."""


def contiguous_ranges(keys: list[str], *, at_most: int | None = None) -> list[tuple[str, str]]:
    """Cover plate keys by ranges of the partition definition, because a Dagster run takes one range.

    Parameters
    ----------
    keys
        Plate keys, in any order.
    at_most
        Largest number of plates in one range; None is no limit.

    Returns
    -------
    list of (first, last)
        Ranges in the order of the partition definition that hold the keys and nothing else.
    """
    places = sorted({PLATE_KEYS.index(key) for key in keys})
    ranges: list[list[int]] = []
    for place in places:
        if ranges and place == ranges[-1][-1] + 1 and len(ranges[-1]) != at_most:
            ranges[-1].append(place)
        else:
            ranges.append([place])
    return [(PLATE_KEYS[run[0]], PLATE_KEYS[run[-1]]) for run in ranges]
