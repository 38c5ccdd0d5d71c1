"""How pulls look in a terminal of 80 columns."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import InventoryRow
from cpjump_assets.gallery.transfer.plan import PullPlan, total_plan
from cpjump_assets.gallery.transfer.report import PullReport
from cpjump_assets.terminal import pull

NOW = "2026-01-02T03:04:05+00:00"


def _plan(objects: int, missing: int, size: int = 2_000_000) -> PullPlan:
    lacking = tuple(GalleryObject(f"k{n}", size, "e", datetime(2020, 11, 4, tzinfo=UTC)) for n in range(missing))
    return PullPlan(objects, objects * size, lacking, missing * size, ())


def _report(**changes: object) -> PullReport:
    row = InventoryRow("a", 10_000_000, "e", NOW, None, None, Verification.MD5, NOW, NOW, 0)
    values = {
        "pulled": (row,),
        "skipped": 0,
        "retries": 0,
        "resumed_bytes": 0,
        "as_released": 0,
        "not_as_released": (),
        "changed": (),
        "absent": (),
        "failed": (),
        "seconds": 2.0,
    }
    return PullReport(**values | changes)


def test_the_longest_plate_key_fits_and_plates_without_objects_are_named_below(capsys):
    long = "2020_12_02_CPJUMP1_2WeeksTimePoint.BR00117006"
    plans = {long: _plan(27_648, 3), "main.BR1": _plan(1, 1), **{f"none.BR{n}": _plan(0, 0) for n in range(6)}}
    pull.plan_table(plans, total_plan(plans.values()), title="images of [/s3]", budget=10**9)
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.startswith("images of [/s3]")
    assert "27,648" in text
    assert "…" not in text
    assert "the gallery holds none of none.BR0, none.BR1, none.BR2, none.BR3 and 2 more" in " ".join(text.split())
    assert text.endswith("8.00 MB is within the budget of 1.00 GB\n")


def test_what_is_held_in_an_older_version_is_named(capsys):
    plan = PullPlan(1, 5, (), 5, ("a/[b]",))
    pull.plan_table({"p": plan}, plan, title="t", budget=1)
    text = capsys.readouterr().out
    assert "1 of them are held in an older version:\n    a/[b]\n" in text
    assert "5 B is more than the budget of 1 B" in text


def test_a_summary_has_the_rate_and_nothing_that_did_not_happen(capsys):
    pull.pull_summary(_report(), "/store/gallery")
    assert capsys.readouterr().out.splitlines() == [
        "1 object pulled, 10.0 MB in 2.0 s (5.00 MB/s)",
        "  1 verified, 0 unverified, 0 retries",
        "in /store/gallery",
    ]


def test_a_summary_names_findings_but_no_more_than_twenty(capsys):
    keys = tuple(f"p/[{number:02d}]" for number in range(23))
    report = _report(skipped=7, retries=2, resumed_bytes=1_500, changed=("c",), not_as_released=("n",), absent=keys)
    pull.pull_summary(report, "/store/[gallery]")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("(5.00 MB/s); 7 held before")
    assert lines[1] == "  1 verified, 0 unverified, 2 retries, 1.50 kB resumed"
    assert lines[2:6] == [
        "  1 of the released size, and with another sha256:",
        "    n",
        "  1 changed since the listing; the new version was pulled:",
        "    c",
    ]
    assert lines[6] == "  23 gone since the listing:"
    assert lines[7:27] == [f"    {key}" for key in keys[:20]]
    assert lines[27:] == ["    and 3 more", "in /store/[gallery]"]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Give what a terminal of 80 columns would show."""
    shown = io.StringIO()
    monkeypatch.setattr(
        pull, "Console", lambda **_: Console(file=shown, force_terminal=True, width=80, highlight=False)
    )
    return shown


def test_the_bar_counts_objects_bytes_and_retries_on_one_line_and_goes_away(terminal):
    with pull.following_pull() as progress:
        progress.begin(27_648, 80_000_000_000)
        for _ in range(3):
            progress.advance(20_000_000_000)
            progress.finish_object()
        for _ in range(1_234):
            progress.retry("k", "the body broke off")
        progress.advance(-10_000_000_000)
        progress.end()
    lines = [Text.from_ansi(line).plain for line in terminal.getvalue().splitlines()]
    last = [line for line in lines if "50.0 GB" in line][-1]
    assert " 3/27,648 50.0 GB of 80.0 GB " in last
    assert last.rstrip().endswith(" 1,234 retries")
    assert len(last) <= 80
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is wiped


def test_the_bar_shows_nothing_before_it_knows_how_much_comes(terminal):
    with pull.following_pull():
        pass
    assert "0/0" not in terminal.getvalue()


def test_without_a_terminal_there_are_lines_instead(capsys, monkeypatch):
    with pull.following_pull() as progress:
        monkeypatch.setattr(progress, "_every", 0.0)
        progress.begin(2, 10)
        progress.advance(5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pulled 0 of 2 objects, 5 B of 10 B at ")
