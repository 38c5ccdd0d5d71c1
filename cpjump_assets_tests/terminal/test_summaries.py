"""What the command line prints, as a terminal of 80 columns shows it."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.demo import DemoOutcome
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, STRATEGIES
from cpjump_assets.terminal import summaries
from cpjump_assets_tests.figures.tables import benchmark_tables
from cpjump_assets_tests.real_splits import RealSplits, real_splits

MODALITIES = ("CRISPR", "Compound", "ORF")
RULES = [("paper_2024", "all"), ("copairs", "all"), ("paper_2024", "inner")]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def splits(reference_root: Path) -> RealSplits:
    return real_splits(reference_root)


@pytest.fixture
def outcome(splits: RealSplits) -> DemoOutcome:
    strengths = ["strong", "weak", "inactive"]
    recovery = pd.DataFrame(
        [
            (kind, strength, 1000 + place, found, found / (1000 + place))
            for kind in MODALITIES
            for place, (strength, found) in enumerate(zip(strengths, (900, 90, 10), strict=True))
        ],
        columns=["Metadata_experiment_type", "planted", "classes", "retrieved", "share"],
    ).astype({"planted": pd.CategoricalDtype(strengths, ordered=True)})
    made = benchmark_tables(of_rules=RULES)
    return DemoOutcome(
        Path("demo"),
        splits.manifests,
        splits.audits,
        made.scores,
        made.percents,
        made.directions,
        recovery,
        61.4,
        1_234_567_890,
    )


def _printed(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().out
    assert "…" not in text
    return text


def _rows(text: str) -> list[tuple[str, ...]]:
    """Give the cells of every line that is a row of a table."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    assert all(len(line) <= 80 for line in lines)
    return [tuple(cell.strip() for cell in line.strip("│").split("│")) for line in lines]


def test_the_demo_shows_every_split_score_and_strength_uncut(outcome, capsys):
    summaries.demo_summary(outcome)
    rows = _rows(_printed(capsys))
    by_name = {row[0]: row[1:] for row in rows[: len(STRATEGIES)]}
    assert by_name == {
        "cpjump1_official_representation": ("7,679", "2,490", "2,560", "2 of 2", "13"),
        "cpjump1_official_gene_compound": ("7,636", "2,543", "2,550", "5 of 5", "5"),
        "cellclip_cpjump_style": ("9,560", "0", "3,169", "2 of 2", "12"),
    }
    assert len(rows) == 3 + 12 + 6 + 7 + 3 + 9
    recovery = rows[-9:]
    assert recovery[5] == ("Compound", "inactive", "1002", "10", "1.0%")


def test_what_was_planted_is_held_against_detection_and_times_are_named_as_in_the_figures(outcome, capsys):
    summaries.demo_summary(outcome)
    text = _printed(capsys)
    assert "Planted against found: detection, all conditions" in text
    assert text.count("A549 short") == text.count("U2OS long") == 2
    assert "early" not in text


def _one(table: pd.DataFrame, **wanted: object) -> pd.Series:
    """Give the one row with these values."""
    (place,) = table.index[(table[list(wanted)] == list(wanted.values())).all(axis=1)]
    return table.loc[place]


@pytest.fixture
def printed(outcome, capsys) -> dict[str, tuple[str, ...]]:
    """Give the cells of every line of the demo's tables, by its name."""
    summaries.demo_summary(outcome)
    return {row[0]: row[1:] for row in _rows(_printed(capsys))}


def test_detection_is_that_of_2024_on_all_wells_with_its_interval(outcome, printed):
    scores = outcome.scores.reset_index(drop=True)
    row = _one(
        scores,
        task="detection",
        metric_mode="paper_2024",
        wells="all",
        Metadata_experiment_type="ORF",
        Metadata_cell_line="U2OS",
        Metadata_timepoint=96,
    )
    interval = f"{row['fraction_retrieved_low']:.3f}-{row['fraction_retrieved_high']:.3f}"
    fraction, mean = f"{row['fraction_retrieved']:.3f}", f"{row['mean_average_precision']:.3f}"
    assert printed["ORF U2OS 96 h"] == ("160", str(row["n_retrieved"]), fraction, interval, mean)


@pytest.mark.parametrize(
    ("label", "task", "reference"),
    [
        ("sister compounds", "sister_compounds", {}),
        ("sister guides", "sister_guides", {}),
        (
            "compound x CRISPR 144 h",
            "gene_compound",
            {"reference_experiment_type": "CRISPR", "reference_timepoint": 144},
        ),
        ("compound x ORF 48 h", "gene_compound", {"reference_experiment_type": "ORF", "reference_timepoint": 48}),
    ],
)
def test_matching_has_a_column_for_each_cell_line_and_time(outcome, printed, label, task, reference):
    scores = outcome.scores.reset_index(drop=True)
    rule = {"task": task, "metric_mode": "paper_2024", "wells": "all", **reference}
    own = [
        _one(scores, **rule, Metadata_cell_line=line, Metadata_timepoint_code=code)
        for line in ("A549", "U2OS")
        for code in ("low", "high")
    ]
    assert printed[label] == tuple(f"{row['fraction_retrieved']:.2f} ({row['n_classes']})" for row in own)


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ("replicating ORF", {"metric": "percent_replicating", "Metadata_experiment_type": "ORF"}),
        ("matching CRISPR 96 h", {"metric": "percent_matching", "reference_timepoint_code": "low"}),
    ],
)
def test_percent_scores_have_a_column_for_each_cell_line_and_time(outcome, printed, label, wanted):
    percents = outcome.percents.reset_index(drop=True)
    kind = label.split()[1]
    own = [
        _one(
            percents,
            **wanted,
            wells="all",
            reference_experiment_type=kind,
            Metadata_cell_line=line,
            Metadata_timepoint_code=code,
        )
        for line in ("A549", "U2OS")
        for code in ("low", "high")
    ]
    assert printed[label] == tuple(f"{row['percent']:.1f}" for row in own)


def test_directions_are_the_corrected_ones_with_their_interval(outcome, printed):
    directions = outcome.directions.reset_index(drop=True)
    corrected = {"wells": "all", "variant": "corrected", "comparison": "orf_crispr"}
    own = [_one(directions, **corrected, Metadata_cell_line=line) for line in ("A549", "U2OS")]
    cells = (f"{row['odds_ratio']:.2f} ({row['odds_low']:.2f}-{row['odds_high']:.2f})" for row in own)
    assert printed["ORF with CRISPR"] == tuple(cells)


def test_a_score_that_is_not_there_is_a_dash(outcome, capsys):
    compounds = outcome.scores[
        (outcome.scores["Metadata_experiment_type"] == "Compound")
        & (outcome.scores["Metadata_cell_line"] == "A549")
        & (outcome.scores["task"] != "gene_compound")
    ].copy()
    compounds.loc[compounds["task"] == "detection", ["fraction_retrieved", "fraction_retrieved_low"]] = float("nan")
    summaries.demo_summary(outcome._replace(scores=compounds, percents=outcome.percents.head(0)))
    rows = {row[0]: row[1:] for row in _rows(_printed(capsys))}
    assert rows["Compound A549 24 h"][2:4] == ("-", "-")
    assert rows["sister compounds"][2:] == ("-", "-")
    assert "-" not in rows["sister compounds"][:2]


def test_the_demo_ends_with_rates_time_memory_and_where_to_look(outcome, capsys):
    summaries.demo_summary(outcome)
    last = _printed(capsys).splitlines()[-4:]
    assert last == [
        "strong found 90.0%, false discoveries 1.0%, inactive retrieved 1.0%",
        "time 61 s, peak memory 1.23 GB (PSS, all processes)",
        "tables: demo/store",
        "lineage, checks and figures: `make dev ARGS=--demo` (or `cpjump ui --demo`), then http://127.0.0.1:3000",
    ]


def test_a_demo_elsewhere_names_the_command_that_shows_it(outcome, capsys):
    folder = Path("/a/long path/to [bold]/" + "x" * 80)
    summaries.demo_summary(outcome._replace(folder=folder))
    tables, where = _printed(capsys).splitlines()[-2:]
    assert tables == f"tables: {folder}/store"
    assert f"`cpjump ui --demo '{folder}'`" in where
    assert "make dev" not in where


def test_a_broken_promise_is_counted_in_the_splits(outcome, capsys):
    audit = outcome.audits[GENE_COMPOUND].copy()
    audit.loc[audit["rule"] == "target", ["groups_crossing", "verdict"]] = [1, "breach"]
    summaries.demo_summary(outcome._replace(audits={**outcome.audits, GENE_COMPOUND: audit}))
    assert _rows(_printed(capsys))[1][-2:] == ("4 of 5", "5")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_audit_has_a_line_for_every_rule_and_every_remark_below(splits, strategy, capsys):
    audit = splits.audits[strategy]
    summaries.audit_table(audit, title=f"leakage audit of {strategy}")
    text = _printed(capsys)
    assert _rows(text) == [
        (
            row.rule,
            f"{row.groups_crossing:,}",
            f"{row.groups:,}",
            f"{row.wells_crossing:,}",
            row.verdict + (" (promised)" if row.promised else ""),
        )
        for row in audit.itertuples(index=False)
    ]
    assert all(len(line) <= 80 for line in text.splitlines())
    remarks = text[text.index("examples of what crosses") :]
    words = "".join(remarks.split())
    for row in audit.itertuples(index=False):
        for remark in (row.examples, row.note):
            if isinstance(remark, str):
                assert "".join(remark.split()) in words


def test_remarks_take_no_more_lines_than_they_need(splits, capsys):
    """In a column of a table this audit would take 200 lines."""
    summaries.audit_table(splits.audits[CELLCLIP], title="audit")
    assert len(_printed(capsys).splitlines()) < 70


def test_an_audit_without_remarks_ends_with_its_table(splits, capsys):
    audit = splits.audits[CELLCLIP].query("rule in ['plate_row', 'broad_sample']")
    assert audit[["examples", "note"]].isna().all(axis=None)
    summaries.audit_table(audit, title="audit")
    assert _printed(capsys).splitlines()[-1].startswith("└")


def test_names_from_outside_are_never_read_as_markup(splits, capsys):
    audit = splits.audits[CELLCLIP].query("rule == 'target_list_test'").copy()
    rule = "target_list_" + "[/red] " * 15
    audit[["rule", "examples", "note"]] = [rule, "[bold]BRD (train, [/green])", "a note"]
    summaries.audit_table(audit, title="leakage audit of [/draft].csv")
    text = _printed(capsys)
    assert text.startswith("leakage audit of [/draft].csv")
    assert "".join(row[0] for row in _rows(text)).count("[/red]") == 15
    assert "[bold]BRD (train, [/green]); a note" in " ".join(text.split())


def test_a_manifest_is_summed_up_with_policy_and_path_in_one_piece(splits, capsys):
    path = Path("/x" * 60) / "[final].csv"
    policy = "drop_negcon_and_empty+without_seeding_failure+without_stain_anomaly"
    summaries.manifest_summary(splits.manifests[CELLCLIP].assign(control_policy=policy), path)
    assert _printed(capsys).splitlines() == [
        f"cellclip_cpjump_style: 12,729 wells, {policy}",
        "  train      9,560 wells, 160 targets",
        "  validate       0 wells,   0 targets",
        "  test       3,169 wells, 125 targets",
        f"written to {path}",
    ]


def test_stages_are_followed_on_stderr_with_their_own_time(capsys, monkeypatch):
    times = iter([10.0, 12.5, 12.6])
    monkeypatch.setattr(summaries.time, "monotonic", lambda: next(times))
    with summaries.following("cpjump demo") as follow:
        follow("pull [/plates]", True)
        follow("score", False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if " s" in line] == ["✓ pull [/plates] 2.5 s", "✗ score 0.1 s"]
