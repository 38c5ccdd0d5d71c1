"""What is asked of profiles: the retrieval tasks of the 2024 paper, and how tables name them and their conditions.

Belongs here: names of tasks, of selections of wells, and of the columns that say in which condition a task is asked.
Does not belong here: who is a positive and a negative in a task (``detection``, ``matching``).
"""

from typing import Final, Literal

DETECTION = "detection"
ORF_SAME_WELL = "orf_same_well"
ORF_DIFFERENT_WELL = "orf_different_well"
SISTER_COMPOUNDS = "sister_compounds"
SISTER_GUIDES = "sister_guides"
GENE_COMPOUND = "gene_compound"

REPLICATE_TASKS = (DETECTION, ORF_SAME_WELL, ORF_DIFFERENT_WELL)
"""Wells look for the other wells of their perturbation among negative controls: Fig. 4a and Extended Data Fig. 1."""
MATCHING_TASKS = (SISTER_COMPOUNDS, SISTER_GUIDES, GENE_COMPOUND)
"""Perturbations look for others of their target among all others: Fig. 4b and 4c."""
TASKS = (*REPLICATE_TASKS, *MATCHING_TASKS)

PERCENT_REPLICATING = "percent_replicating"
PERCENT_MATCHING = "percent_matching"
METRICS = (PERCENT_REPLICATING, PERCENT_MATCHING)
"""The scores of the 2021 paper."""

EVERY_WELL: Final = "all"
"""The one subset of a score that asks all wells, and the selection of wells by position that takes all."""
INNER_WELLS: Final = "inner"
"""Wells that are at least two rows and two columns away from the edge of the plate."""
WellSelection = Literal["all", "inner"]
WELL_SELECTIONS: tuple[WellSelection, ...] = (EVERY_WELL, INNER_WELLS)

CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint", "Metadata_timepoint_code"]
"""Modality, cell line and time point of the queries."""
REFERENCE = ["reference_experiment_type", "reference_timepoint", "reference_timepoint_code"]
"""Modality and time point of what they are compared with: another one across modalities, else their own."""
