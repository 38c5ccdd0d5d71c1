"""Listing many keys: ours against boto3's paginator and s5cmd.

Belongs here: these rows. Does not belong here: pulling. A page has 1,000 keys whoever asks, and the server is the same,
so that seconds of the processor say more of a client than those on the wall.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from benchmarks.pull_clients import Task, missing_peers, python, s5cmd
from benchmarks.pull_python import digest_of_keys
from benchmarks.pull_rows import Bench, Group, Row, row
from benchmarks.pull_runs import Clock, Command, Run, Runs, cpu_seconds, in_rounds, run, work_seconds
from benchmarks.pull_served import BUCKET, listed

_PREFIX = "listed"
_CLOCKS: Mapping[str, Clock] = MappingProxyType({"": work_seconds, ", processor": cpu_seconds})


def groups(bench: Bench) -> list[Group]:
    """Give the rows of listings."""
    names = tuple(_name(bench, peer, form) for peer in _commands(bench) if peer != "ours" for form in _CLOCKS)
    return [Group(names, partial(_measure, bench))]


def _name(bench: Bench, peer: str, form: str) -> str:
    return f"list {bench.sizes.keys:,} keys vs {peer}{form}"


def _commands(bench: Bench) -> dict[str, Command]:
    task = Task(bench.server.endpoint, _PREFIX)
    commands = {"ours": python("list ours", task), "paginator": python("list paginator", task)}
    if "s5cmd" not in missing_peers():
        commands["s5cmd ls"] = s5cmd(task, "ls", "--show-fullpath", f"s3://{BUCKET}/{_PREFIX}/*")
    return commands


def _measure(bench: Bench, chosen: frozenset[str]) -> Iterator[Row]:
    commands = _commands(bench)
    with listed(bench.folder / "served", _PREFIX, bench.sizes.keys) as keys:
        bench.listing(_PREFIX)
        expected = digest_of_keys(keys)
        found = in_rounds(
            {client: partial(_list, command, expected) for client, command in commands.items()}, bench.rounds
        )
    for peer in commands:
        for form, clock in _CLOCKS.items():
            if _name(bench, peer, form) in chosen:
                note = f"ours {_rate(bench, found['ours'])}, peer {_rate(bench, found[peer])}"
                yield row(_name(bench, peer, form), found["ours"], found[peer], note=note, clock=clock)


def _list(command: Command, expected: str) -> Run:
    made = run(command)
    # s5cmd prints an address a line
    found = made.result.get("keys") or digest_of_keys(
        line.removeprefix(f"s3://{BUCKET}/") for line in made.result["printed"].splitlines()
    )
    return replace(made, agrees=found == expected)


def _rate(bench: Bench, runs: Runs) -> str:
    return f"{bench.sizes.keys / runs.median(work_seconds):,.0f} keys/s"
