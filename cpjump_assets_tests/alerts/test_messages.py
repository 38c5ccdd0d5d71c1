"""What a reader sees: one event whole, and many as a digest that stays readable."""

from dataclasses import replace

from cpjump_assets.alerts.events import Subject
from cpjump_assets_tests.alerts.samples import CHECK, STRATEGY, event, message, plate_check
from cpjump_assets_tests.receivers import event_keys


def test_one_event_says_what_how_much_what_to_do_where_when_and_its_key() -> None:
    one = message(event())
    assert one.title == f"CPJUMP1 error: promise_target on split_manifest ({STRATEGY})"
    assert one.body == (
        "promise_target on split_manifest failed.\n"
        "\n"
        "wells that cross: 12\n"
        "\n"
        "What to do: Open the check's metadata: it lists the wells.\n"
        "Where to look: http://127.0.0.1:3000/runs/1234\n"
        "When: 2026-03-02 04:00:00 UTC\n"
        f"Event: {CHECK.key}@0"
    )


def test_what_there_is_not_leaves_no_empty_line() -> None:
    bare = replace(event(), numbers=(), link=None, advice="")
    assert message(bare).body == (
        f"promise_target on split_manifest failed.\n\nWhen: 2026-03-02 04:00:00 UTC\nEvent: {CHECK.key}@0"
    )


def test_the_level_is_the_worst() -> None:
    warning, well = event(severity="warning"), event(plate_check(1), "recovered")
    assert message(warning, well).level == "warning"
    assert message(warning, well, event(plate_check(2))).level == "error"
    assert message(well).level == "recovered"
    assert message(well).title.startswith("CPJUMP1 recovered: ")


def test_a_digest_counts_groups_and_carries_every_key() -> None:
    plates = [event(plate_check(number), severity="warning") for number in range(51)]
    well = event(Subject("sensor", "observe_gallery"), "recovered")
    digest = message(*plates, well, event())
    assert digest.title == "CPJUMP1: 1 failed, 51 with a warning, 1 recovered"
    lines = digest.body.splitlines()
    assert [line for line in lines if line.startswith("[")] == [
        f"[error] promise_target on split_manifest ({STRATEGY})",
        "[warning] plate_quality on normalized_profiles, 51 of them:",
        "[recovered] observe_gallery",
    ]
    shown = [line for line in lines if line.startswith("- ")]
    assert shown[0] == "- 2020_11_04_CPJUMP1.BR00000000: plate_quality on normalized_profiles failed."
    assert (len(shown), shown[-1]) == (11, "- and 41 more")
    assert lines.count("  wells that cross: 12") == 10
    assert sorted(event_keys(digest.body)) == sorted(digest.keys)
    assert len(set(digest.keys)) == 53


def test_a_digest_groups_runs_by_their_job() -> None:
    runs = [event(Subject("run", job, partition=key)) for job in ("plates", "images") for key in ("a", "b", "c")]
    headings = [line for line in message(*runs).body.splitlines() if line.startswith("[")]
    assert headings == ["[error] images, 3 of them:", "[error] plates, 3 of them:"]
    links = ["https://lab.org/runs/1", "https://lab.org/runs/2"]
    body = message(*(replace(run, link=link) for run, link in zip(runs, links, strict=False))).body
    assert [line for line in body.splitlines() if "lab.org" in line] == [f"  {link}" for link in links]


def test_a_link_that_a_group_shares_stands_once() -> None:
    plates = [event(plate_check(number)) for number in range(3)]
    assert message(*plates).body.count("http://") == 1
