"""What the command line prints, as a terminal of 80 columns shows it."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets import terminal
from cpjump_assets.demo import DemoOutcome
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, STRATEGIES
from cpjump_assets_tests.real_splits import RealSplits, real_splits

TIMES = {"CRISPR": (96, 144), "Compound": (24, 48), "ORF": (48, 96)}


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
    conditions = [(kind, line, time) for kind, times in TIMES.items() for line in ("A549", "U2OS") for time in times]
    scores = pd.DataFrame(
        [(*condition, 306, 100 + place, 0.5, 0.4, 0.6, 0.7) for place, condition in enumerate(conditions)],
        columns=[
            *("Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"),
            *("n_classes", "n_retrieved"),
            *("fraction_retrieved", "fraction_retrieved_low", "fraction_retrieved_high", "mean_average_precision"),
        ],
    )
    strengths = ["strong", "weak", "inactive"]
    recovery = pd.DataFrame(
        [
            (kind, strength, 1000 + place, found, found / (1000 + place))
            for kind in TIMES
            for place, (strength, found) in enumerate(zip(strengths, (900, 90, 10), strict=True))
        ],
        columns=["Metadata_experiment_type", "planted", "classes", "retrieved", "share"],
    ).astype({"planted": pd.CategoricalDtype(strengths, ordered=True)})
    return DemoOutcome(Path("demo"), splits.manifests, splits.audits, scores, recovery, 61.4, 1_234_567_890)


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
    terminal.demo_summary(outcome)
    rows = _rows(_printed(capsys))
    by_name = {row[0]: row[1:] for row in rows[: len(STRATEGIES)]}
    assert by_name == {
        "cpjump1_official_representation": ("7,679", "2,490", "2,560", "2 of 2", "13"),
        "cpjump1_official_gene_compound": ("7,636", "2,543", "2,550", "5 of 5", "5"),
        "cellclip_cpjump_style": ("9,560", "0", "3,169", "2 of 2", "12"),
    }
    scores = rows[3:15]
    assert scores[0] == ("CRISPR A549 96 h", "306", "100", "0.500", "0.400-0.600", "0.700")
    assert scores[-1][:3] == ("ORF U2OS 96 h", "306", "111")
    recovery = rows[15:]
    assert len(recovery) == 9
    assert recovery[5] == ("Compound", "inactive", "1002", "10", "1.0%")


def test_the_demo_ends_with_rates_time_memory_and_where_to_look(outcome, capsys):
    terminal.demo_summary(outcome)
    last = _printed(capsys).splitlines()[-4:]
    assert last == [
        "strong found 90.0%, false discoveries 1.0%, inactive retrieved 1.0%",
        "time 61 s, peak memory 1.23 GB (PSS, all processes)",
        "tables: demo/store",
        "lineage, checks and figures: `make dev ARGS=--demo` (or `cpjump ui --demo`), then http://127.0.0.1:3000",
    ]


def test_a_demo_elsewhere_names_the_command_that_shows_it(outcome, capsys):
    folder = Path("/a/long path/to [bold]/" + "x" * 80)
    terminal.demo_summary(outcome._replace(folder=folder))
    tables, where = _printed(capsys).splitlines()[-2:]
    assert tables == f"tables: {folder}/store"
    assert f"`cpjump ui --demo '{folder}'`" in where
    assert "make dev" not in where


def test_a_broken_promise_is_counted_in_the_splits(outcome, capsys):
    audit = outcome.audits[GENE_COMPOUND].copy()
    audit.loc[audit["rule"] == "target", ["groups_crossing", "verdict"]] = [1, "breach"]
    terminal.demo_summary(outcome._replace(audits={**outcome.audits, GENE_COMPOUND: audit}))
    assert _rows(_printed(capsys))[1][-2:] == ("4 of 5", "5")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_audit_has_a_line_for_every_rule_and_every_remark_below(splits, strategy, capsys):
    audit = splits.audits[strategy]
    terminal.audit_table(audit, title=f"leakage audit of {strategy}")
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
    terminal.audit_table(splits.audits[CELLCLIP], title="audit")
    assert len(_printed(capsys).splitlines()) < 70


def test_an_audit_without_remarks_ends_with_its_table(splits, capsys):
    audit = splits.audits[CELLCLIP].query("rule in ['plate_row', 'broad_sample']")
    assert audit[["examples", "note"]].isna().all(axis=None)
    terminal.audit_table(audit, title="audit")
    assert _printed(capsys).splitlines()[-1].startswith("└")


def test_names_from_outside_are_never_read_as_markup(splits, capsys):
    audit = splits.audits[CELLCLIP].query("rule == 'target_list_test'").copy()
    rule = "target_list_" + "[/red] " * 15
    audit[["rule", "examples", "note"]] = [rule, "[bold]BRD (train, [/green])", "a note"]
    terminal.audit_table(audit, title="leakage audit of [/draft].csv")
    text = _printed(capsys)
    assert text.startswith("leakage audit of [/draft].csv")
    assert "".join(row[0] for row in _rows(text)).count("[/red]") == 15
    assert "[bold]BRD (train, [/green]); a note" in " ".join(text.split())


def test_a_manifest_is_summed_up_with_the_path_in_one_piece(splits, capsys):
    path = Path("/x" * 60) / "[final].csv"
    terminal.manifest_summary(splits.manifests[CELLCLIP], path)
    assert _printed(capsys).splitlines() == [
        "cellclip_cpjump_style: 12,729 wells, drop_negcon_and_empty",
        "  train      9,560 wells, 160 targets",
        "  validate       0 wells,   0 targets",
        "  test       3,169 wells, 125 targets",
        f"written to {path}",
    ]


def test_stages_are_followed_on_stderr_with_their_own_time(capsys, monkeypatch):
    times = iter([10.0, 12.5, 12.6])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(times))
    with terminal.following("cpjump demo") as follow:
        follow("pull [/plates]", True)
        follow("score", False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if " s" in line] == ["✓ pull [/plates] 2.5 s", "✗ score 0.1 s"]
