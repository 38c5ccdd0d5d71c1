"""What the columns of the benchmark tables are.

Belongs here: the schemas of classes, scores and the published comparison, each column with the line that the web UI
shows. Does not belong here: how the numbers come about (``detection``, ``class_scores``, ``comparison``).
"""

from dataclasses import replace

from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, TIMEPOINT_CODES, Column, TableSchema
from cpjump_assets.science.strategies import STRATEGIES

_SHARE = (0.0, 1.0)


def _share(name: str, description: str) -> Column:
    """Declare a number from 0 to 1 that is missing where there is nothing to score."""
    return Column(name, "number", description, nullable=True, bounds=_SHARE)


def _count(name: str, description: str) -> Column:
    return Column(name, "integer", description, bounds=(0.0, float("inf")))


_RULE = (
    Column("subset", "string", "train, validate or test of the split; all: every well, without a split"),
    Column("task", "string", "what was asked of the profiles"),
    Column("metric_mode", "string", "published rule that was followed; never rank rows of different modes together"),
    Column("p_convention", "string", "how p is made of the chance to be beaten"),
    Column("wells", "string", "which wells took part by position"),
)
_MODALITY_AND_LINE = (
    Column("Metadata_experiment_type", "string", "modality", allowed=EXPERIMENT_TYPES),
    Column("Metadata_cell_line", "string", "cell line", allowed=CELL_LINES),
)
_TIMEPOINT_CODE = Column(
    "Metadata_timepoint_code",
    "string",
    "low: the earlier of the modality's two times (the papers' short), high: the later (long)",
    allowed=TIMEPOINT_CODES,
)
_CONDITION = (
    *_MODALITY_AND_LINE,
    Column("Metadata_timepoint", "integer", "hours from perturbation to staining"),
    _TIMEPOINT_CODE,
)
_RULE_AND_CONDITION = tuple(column.name for column in (*_RULE, *_CONDITION))

CLASSES = TableSchema(
    "classes",
    "a perturbation in one condition and subset",
    (*_RULE_AND_CONDITION, "Metadata_broad_sample"),
    (
        *_RULE,
        *_CONDITION,
        Column("Metadata_broad_sample", "string", "the perturbation"),
        Column("Metadata_target", "string", "gene that it acts on", nullable=True),
        _count("n_wells", "its wells"),
        _count("n_wells_scored", "its wells that have a positive and a negative"),
        _share("mean_average_precision", "mean average precision of the scored wells"),
        _share("p_value", "geometric mean of the p of the scored wells"),
        _share("p_low", "p is certainly not less"),
        _share("p_high", "p is certainly not more; equal to p_low where p is exact"),
        _share("q_value", "p corrected over the classes of the condition and subset"),
        Column("retrieved", "boolean", "q below the threshold; False where there is no q"),
        Column("undecided", "boolean", "the interval of p leaves the call open"),
    ),
)

SCORES = TableSchema(
    "scores",
    "the score of one condition and subset",
    _RULE_AND_CONDITION,
    (
        *_RULE,
        *_CONDITION,
        _count("n_wells", "wells that were asked, negative controls not counted"),
        _count("n_negative_controls", "negative controls on the plates of the condition"),
        _count("n_classes", "perturbations with a scored well: the denominator"),
        _count("n_classes_without_positives", "perturbations of one well, which cannot be scored"),
        _count("n_retrieved", "perturbations with q below the threshold"),
        _count("n_undecided", "calls that the interval of p leaves open"),
        _share("fraction_retrieved", "n_retrieved / n_classes"),
        _share("fraction_retrieved_low", "lower end of the 95 % bootstrap interval"),
        _share("fraction_retrieved_high", "upper end of the 95 % bootstrap interval"),
        _share("mean_average_precision", "mean over the perturbations"),
        Column("note", "string", "why there is no number, or not of all wells", nullable=True),
    ),
)

PUBLISHED_COMPARISON = TableSchema(
    "published_comparison",
    "a published figure beside ours",
    ("figure", "task", "Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint_code", "run"),
    (
        Column("figure", "string", "figure of the publication"),
        Column("task", "string", "what was asked of the profiles"),
        *_MODALITY_AND_LINE,
        _TIMEPOINT_CODE,
        Column("release", "integer", "year of the publication"),
        Column("run", "string", "which run of the authors; two of their runs differ in places"),
        Column("published", "number", "fraction retrieved as printed", bounds=_SHARE),
        _share("ours", "fraction retrieved here; missing where nothing was compared"),
        Column("difference", "number", "ours - published, at the digits printed", nullable=True),
        Column("tolerance", "number", "greatest difference between two runs of the authors"),
        Column("verdict", "string", "whether ours reproduces the figure"),
        Column("source", "string", "where the figure stands"),
    ),
)


def with_strategy(schema: TableSchema) -> TableSchema:
    """Give the schema of the same table for the subsets of a split: its strategy comes first, also in the key."""
    strategy = Column("split_strategy", "string", "strategy that made the subsets", allowed=STRATEGIES)
    return replace(schema, key=("split_strategy", *schema.key), columns=(strategy, *schema.columns))
