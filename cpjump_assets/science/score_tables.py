"""What the columns of the benchmark tables are.

Belongs here: the schemas of classes, scores and percent scores, each column with the line that the web UI shows. Does
not belong here: how the numbers come about (``answers``, ``percent_scores``), or the published figures
(``comparison``).
"""

from dataclasses import replace

from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, TIMEPOINT_CODES, Column, TableSchema
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.science.tasks import CONDITION, METRICS, REFERENCE, TASKS, WELL_SELECTIONS

_SHARE = (0.0, 1.0)


def _share(name: str, description: str) -> Column:
    """Declare a number from 0 to 1 that is missing where there is nothing to score."""
    return Column(name, "number", description, nullable=True, bounds=_SHARE)


def _percent(name: str, description: str) -> Column:
    return Column(name, "number", description, nullable=True, bounds=(0.0, 100.0))


def _count(name: str, description: str) -> Column:
    return Column(name, "integer", description, bounds=(0.0, float("inf")))


_RULE = (
    Column("subset", "string", "train, validate or test of the split; all: every well, without a split"),
    Column("task", "string", "what was asked of the profiles", allowed=TASKS),
    Column("metric_mode", "string", "published rule that was followed; never rank rows of different modes together"),
    Column("p_convention", "string", "how p is made of the chance to be beaten"),
    Column("q_threshold", "number", "a class is retrieved when its q is strictly below", bounds=_SHARE),
    Column("wells", "string", "which wells took part, by position on the plate", allowed=WELL_SELECTIONS),
)
_CODE_WORDS = "low: the earlier of the modality's two times (the papers' short), high: the later (long)"
_MODALITY_AND_LINE = (
    Column("Metadata_experiment_type", "string", "modality", allowed=EXPERIMENT_TYPES),
    Column("Metadata_cell_line", "string", "cell line", allowed=CELL_LINES),
)
_TIMEPOINT_CODE = Column("Metadata_timepoint_code", "string", _CODE_WORDS, allowed=TIMEPOINT_CODES)
_CONDITION = (
    *_MODALITY_AND_LINE,
    Column("Metadata_timepoint", "integer", "hours from perturbation to staining"),
    _TIMEPOINT_CODE,
    Column("reference_experiment_type", "string", "modality that is searched", allowed=EXPERIMENT_TYPES),
    Column("reference_timepoint", "integer", "hours from perturbation to staining of what is searched"),
    Column("reference_timepoint_code", "string", f"{_CODE_WORDS}, of what is searched", allowed=TIMEPOINT_CODES),
)
_RULE_AND_CONDITION = tuple(column.name for column in (*_RULE, *_CONDITION))

CLASSES = TableSchema(
    "classes",
    "a perturbation, or in matching a target, of one task, condition and subset",
    (*_RULE_AND_CONDITION, "class_name"),
    (
        *_RULE,
        *_CONDITION,
        Column("class_name", "string", "perturbation (and well, for orf_same_well), or target in matching"),
        Column("Metadata_broad_sample", "string", "the perturbation; missing in matching", nullable=True),
        Column("Metadata_target", "string", "gene that it acts on", nullable=True),
        _count("n_queries", "its wells; in matching, its consensus profiles"),
        _count("n_queries_scored", "those that have a positive and a negative"),
        _share("mean_average_precision", "mean average precision of the scored queries"),
        _share("p_value", "p of the class by its mode"),
        _share("p_low", "p is certainly not less"),
        _share("p_high", "p is certainly not more; equal to p_low where p is exact"),
        _share("q_value", "p corrected over the classes of the task, condition and subset"),
        Column("retrieved", "boolean", "q below the threshold; False where there is no q"),
        Column("undecided", "boolean", "the interval of p leaves the call open"),
    ),
)

SCORES = TableSchema(
    "scores",
    "the score of one task, condition and subset",
    _RULE_AND_CONDITION,
    (
        *_RULE,
        *_CONDITION,
        _count("n_profiles", "profiles that asked: wells, or in matching consensus profiles"),
        _count("n_queries", "questions: one a well, or in matching one for each target of a consensus profile"),
        _count("n_negative_controls", "negative controls on the plates of the condition; 0 in matching"),
        _count("n_classes", "classes with a positive pair: the denominator"),
        _count("n_classes_without_positives", "classes of which no query has a positive; they cannot be scored"),
        _count("n_retrieved", "classes with q below the threshold"),
        _count("n_undecided", "calls that the interval of p leaves open"),
        _share("fraction_retrieved", "n_retrieved / n_classes"),
        _share("fraction_retrieved_low", "lower end of the 95 % bootstrap interval over classes"),
        _share("fraction_retrieved_high", "upper end of the 95 % bootstrap interval over classes"),
        _share("mean_average_precision", "mean over the classes"),
        _share("mean_average_precision_low", "lower end of the 95 % bootstrap interval over classes"),
        _share("mean_average_precision_high", "upper end of the 95 % bootstrap interval over classes"),
        _share("same_well_share", "share of positive pairs in one well position; missing in matching"),
        Column("note", "string", "why there is no number, or not of all queries", nullable=True),
    ),
)


PERCENT_SCORES = TableSchema(
    "percent_scores",
    "a score of 2021, of one condition or pair of conditions, and subset",
    ("subset", "metric", "wells", *CONDITION, *REFERENCE),
    (
        Column("subset", "string", "train, validate or test of the split; all: every well, without a split"),
        Column("metric", "string", "which score", allowed=METRICS),
        Column("wells", "string", "which wells took part, by position on the plate", allowed=WELL_SELECTIONS),
        *_CONDITION,
        _count("n_features", "features that are compared: those that all plates here keep"),
        _count("n_profiles", "wells that took part; in matching those of shared genes"),
        _count("n_units", "samples, or pairs of a compound and a reagent of one gene"),
        Column("n_without_replicates", "integer", "samples with one well: they count, and cannot replicate"),
        _count("n_above", "units above the threshold"),
        Column("null_95", "number", "threshold: 95th percentile of the null", True, bounds=(-1.0, 1.0)),
        _percent("percent", "100 n_above / n_units"),
        _percent("percent_low", "lower end of the 95 % bootstrap interval over units"),
        _percent("percent_high", "upper end of the 95 % bootstrap interval over units"),
        _count("n_null", "values of the null: draws, or blocks of all draws"),
        Column("seed", "integer", "seed of the draws"),
        Column("note", "string", "why there is no number", nullable=True),
    ),
)


def with_strategy(schema: TableSchema) -> TableSchema:
    """Give the schema of the same table for the subsets of a split: its strategy comes first, also in the key."""
    strategy = Column("split_strategy", "string", "strategy that made the subsets", allowed=STRATEGIES)
    return replace(schema, key=("split_strategy", *schema.key), columns=(strategy, *schema.columns))
