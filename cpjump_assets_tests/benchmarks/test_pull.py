import json
import shutil
import sys
from dataclasses import replace

import pytest

from benchmarks import pull, pull_choices, pull_clients, pull_prefixes
from benchmarks.pull_clients import PEERS, WORKERS, Client, Task, missing_peers
from benchmarks.pull_one import bytes_there
from benchmarks.pull_prefixes import _row
from benchmarks.pull_python import BUCKET, digest_of_keys
from benchmarks.pull_rows import Bench, all_proved
from benchmarks.pull_runs import Command, Run, Runs, cpu_seconds, fastest, in_rounds, kill_when, run
from benchmarks.pull_served import Server, Sizes, listed, same_files, served
from cpjump_assets.gallery.transfer.etag import MIB

TINY = Sizes(small=5, small_mb=0.3, large=2, large_mb=10, one_mb=160, keys=2_400)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pull")
    with Server(folder / "served") as server:
        yield Bench(folder, server, TINY, rounds=1)


def python(code, **variables):
    return Command([sys.executable, "-c", code], variables)


def made(seconds, *, agrees=True, **other):
    return replace(Run(seconds, seconds + 1, 2 * seconds, 10 * seconds, {}, agrees), **other)


def test_every_row_agrees(monkeypatch, capsys):
    for part in (pull_prefixes, pull_choices):
        monkeypatch.setattr(part, "WORKERS", (4,))
    pull.main(["--rounds", "1", "--json"], TINY)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = {row["name"] for row in rows}
    peers = [peer for peer in PEERS if peer not in missing_peers()]
    assert {"download_file"} <= set(peers)
    forms = {"", ", ours at its default", ", whole processes"}
    assert {f"pull {size} vs {peer}{form}" for size in ("small", "large") for peer in peers for form in forms} <= names
    assert {
        "read small by plain HTTP vs boto3's get_object",
        "hash small in sixteen lanes vs hashlib",
        "list 2,400 keys vs paginator",
        "list 2,400 keys vs paginator, processor",
        "memory of one object, 160 MB vs 20 MB, both ours",
    } <= names
    assert "sync" not in peers or "resume one object of 160 MB, killed half-way, vs sync" in names
    for row in rows:
        assert list(row)[:7] == ["name", "ours_s", "peer_s", "ratio", "agrees", "ours_mb", "peer_mb"]
        assert row["agrees"] is True, row
        assert row["ours_s"] > 0 and row["peer_s"] > 0 and row["ours_mb"] > 0 and row["peer_mb"] > 0
        assert row["ratio"] is None or row["ratio"] == pytest.approx(row["peer_s"] / row["ours_s"], rel=0.1, abs=0.02)


def test_unknown_rows_are_refused(capsys):
    with pytest.raises(SystemExit):
        pull.main(["--rows", "push"], TINY)
    assert "no row begins with 'push'; there are: pull small vs " in capsys.readouterr().err


def test_a_client_that_writes_other_bytes_does_not_agree(bench):
    def half_of_it(task: Task) -> Command:
        folder = task.folder / task.prefix
        return python(
            f"import pathlib; p = pathlib.Path({str(folder)!r}); p.mkdir(parents=True); "
            f"[(p / f'{{n:04d}}.bin').write_bytes(b'no') for n in range(2)]"
        )

    wrong = Client(half_of_it, lambda task: task.folder / task.prefix, lambda: True)
    with served(bench.folder / "served", "objects", 2, 0.1) as expected:
        assert not bench.pull(wrong, "objects", 4, expected).agrees
        assert bench.pull(pull_clients.OURS, "objects", 4, expected).agrees
        assert not all_proved(made(1.0, result={"proved": 1}), expected)
    assert not bench.output.exists()


def test_rows_of_a_peer_that_is_missing_are_left_out(bench, monkeypatch):
    absent = replace(PEERS["s5cmd"], installed=lambda: False)
    monkeypatch.setattr(pull_clients, "PEERS", {**PEERS, "s5cmd": absent})
    assert "s5cmd" in missing_peers()
    assert not any("s5cmd" in name for group in pull.groups_of(bench) for name in group.names)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_files_are_the_same_only_byte_for_byte(tmp_path, damage):
    with served(tmp_path, "objects", 3, 2.5) as expected:
        written = shutil.copytree(expected, tmp_path / "written")
        (written / "another").write_bytes(b"does not matter")
        assert same_files(written, expected)
        victim = written / "0002.bin"
        content = bytearray(victim.read_bytes())
        assert len(content) == 2_500_000
        content[2_200_000] ^= 1
        match damage:
            case "flip":
                victim.write_bytes(content)
            case "cut":
                victim.write_bytes(content[:-1])
            case "remove":
                victim.unlink()
        assert not same_files(written, expected)
    assert not expected.exists()


def test_served_content_is_random_but_always_the_same(tmp_path):
    contents = []
    for name in ("a", "b"):
        with served(tmp_path / name, "objects", 2, 0.01) as folder:
            contents.append([path.read_bytes() for path in sorted(folder.iterdir())])
    assert contents[0] == contents[1] and contents[0][0] != contents[0][1]


def test_large_objects_have_the_etags_of_parts(bench):
    with served(bench.folder / "served", "large", 1, 20):
        (large,) = bench.listing("large")
    assert large.etag.endswith(f"-{-(-20_000_000 // (8 * MIB))}")


def test_listed_keys_are_those_of_images_on_some_plates(bench):
    with listed(bench.folder / "served", "listed", 800) as keys:
        assert [item.key for item in bench.listing("listed")] == keys
    assert len(set(keys)) == 800 and len({key.split("/")[1] for key in keys}) == 4
    assert keys[0].endswith("/Images/r01c01f01p01-ch1sk1fk1fl1.tiff")
    assert digest_of_keys(reversed(keys)) == digest_of_keys(keys) != digest_of_keys(keys[1:])


def test_the_server_counts_the_bytes_that_were_asked_for(bench):
    from urllib.request import Request, urlopen

    with served(bench.folder / "served", "objects", 2, 0.1):
        url = f"{bench.server.endpoint}/{BUCKET}/objects/0000.bin"
        bench.server.bytes_asked("objects/0000.bin")
        urlopen(url).read()
        urlopen(Request(url, headers={"Range": "bytes=99990-"})).read()
        urlopen(Request(url, method="HEAD")).read()
        urlopen(url.replace("0000", "0001")).read()
        assert bench.server.bytes_asked("objects/0000.bin") == 100_010
        assert bench.server.bytes_asked("objects/0000.bin") == 0


def test_a_run_knows_its_clocks_and_the_memory_of_all_its_processes():
    idle = run(python("import time; time.sleep(0.3)"))
    assert idle.seconds == idle.whole_seconds > 0.3 > idle.cpu_seconds > 0
    grandchild = "x = b'1' * 80_000_000; import time; time.sleep(0.4)"
    large = run(python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"))
    assert large.megabytes - idle.megabytes > 70
    busy = run(python("while __import__('time').process_time() < 0.3: pass"))
    assert busy.cpu_seconds >= 0.3


def test_a_client_in_python_tells_its_own_clocks():
    clocks = {"seconds": 0.01, "cpu_seconds": 0.02, "megabytes": 3, "proved": 4}
    told = run(python(f"import time; time.sleep(0.2); print({json.dumps(clocks)!r})"))
    assert (told.seconds, told.cpu_seconds, told.megabytes, told.result) == (0.01, 0.02, 3, {"proved": 4})
    assert told.whole_seconds > 0.2


def test_a_run_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no such bucket"):
        run(python("raise SystemExit('no such bucket')"))


def test_nothing_of_the_users_setup_reaches_a_client(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("https_proxy", "http://proxy")
    shown = run(python("import os; print([os.environ.get(n) for n in ('AWS_PROFILE', 'https_proxy', 'NEW')])", NEW="1"))
    assert shown.result["printed"].strip() == "[None, None, '1']"


def test_a_process_is_killed_when_it_is_ready(tmp_path):
    begun = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
    assert kill_when(python(code), begun.exists)
    assert not kill_when(python("pass"), lambda: False)
    with pytest.raises(RuntimeError, match="refused"):
        kill_when(python("raise SystemExit('refused')"), lambda: False)


def test_every_client_runs_once_a_round_in_changing_order():
    order = []
    found = in_rounds({name: lambda name=name: order.append(name) or made(len(order)) for name in "abcd"}, 6)
    rounds = [tuple(order[start : start + 4]) for start in range(0, 24, 4)]
    assert all(sorted(each) == list("abcd") for each in rounds) and len(set(rounds)) > 2
    assert {len(runs.runs) for runs in found.values()} == {6}


def test_the_best_number_of_workers_is_that_of_the_least_median():
    found = {
        ("ours", 4): Runs((made(1.0), made(9.0), made(9.0))),
        ("ours", 8): Runs((made(3.0), made(3.0), made(8.0))),
        ("ours", None): Runs((made(4.0),)),
        ("peer", 4): Runs((made(6.0, agrees=False),)),
        ("peer", 16): Runs((made(12.0),)),
    }
    assert fastest(found, [("ours", 4), ("ours", 8)]) == ("ours", 8)
    best, default, whole = (_row(form, found, "peer", form, 600) for form in pull_prefixes.FORMS)
    assert (best.ours_s, best.peer_s, best.ratio, best.agrees) == (3.0, 6.0, 2.0, False)
    assert (best.ours_mb, best.peer_mb) == (80, 60)  # the largest of all runs
    assert best.note == "ours 200 MB/s (8 workers), peer 100 MB/s (4 workers)"
    assert (default.ours_s, default.ratio) == (4.0, 1.5)
    assert (whole.ours_s, whole.peer_s) == (4.0, 7.0)
    assert found["peer", 16].median(cpu_seconds) == 24.0
    assert found["peer", 16].agree and WORKERS == (4, 8, 16)


def test_what_is_there_of_an_object_is_what_is_right(tmp_path):
    with served(tmp_path, "one", 1, 1) as folder:
        (one,) = folder.iterdir()
        content, written = one.read_bytes(), tmp_path / "written"
        block = {"look": 10_000, "every": 10_000}
        assert bytes_there(written, one, **block) == 0
        (written / "below").mkdir(parents=True)
        part = written / "below" / "0000.bin.part"
        part.write_bytes(bytes(1_000_000))  # all room taken, nothing there yet
        assert bytes_there(written, one, **block) == 0
        part.write_bytes(bytes(300_000) + content[300_000:900_000])
        (written / "0000.bin.part.json").write_bytes(b"{}")
        assert bytes_there(written, one, **block) == 600_000
        assert bytes_there(written, one, look=8, every=5_000) == 600_000
        part.write_bytes(content)
        assert bytes_there(written, one, look=8, every=300_000) == 1_000_000
