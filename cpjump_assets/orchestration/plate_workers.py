"""Where the tables of plates are made: in the run itself, or by the workers of a dask cluster.

Belongs here: handing plates over, waiting for what comes back, and saying what it means when a worker or the cluster is
gone. Does not belong here: what is made of a plate, and what is recorded of it (``recording``).

Only making is handed over. What it needs travels once for each asset and not once for each plate (the table of all
wells alone takes 12 MB), as a task of its own: dask makes it again when the workers that held it are gone. A plate
whose worker dies goes to another one, which is safe, because a table is put in place in one piece. Whoever reaches the
scheduler may run anything on its workers and in the run: a cluster belongs into a network of its own, or behind
``tls://``.
"""

import hashlib
import pickle
import platform
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import uuid4

from cpjump_assets.science.errors import CpjumpError, SettingsError

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CONNECT_SECONDS = 20.0
WITHOUT_WORKERS_SECONDS = 600.0
"""How long plates wait on a cluster that has no worker: one that grows on demand starts its first only then."""
_LOOK_SECONDS = 5.0
_DECIDE_BYTES = ("numpy", "pandas", "pyarrow", "scipy", "pillow")
"""Libraries of which another version may give other tables."""


class ClusterError(CpjumpError):
    """The cluster cannot make any plate: it does not answer, has no workers, or runs other code than this run."""


class WorkerLostError(CpjumpError):
    """The workers that were to make a plate died, one after the other: of it, or of another that they had beside it."""


class Work(Protocol[T]):
    """What is done for each plate; for a cluster it can be pickled, with all that it refers to."""

    def __call__(self, plate: str, *arguments: Any) -> T:
        """Do it, on a worker or in a thread of the run."""

    def confirm(self, result: T) -> None:
        """Look in the run at what a worker says it did; raise what is wrong with it."""


class PlateWorkers(Protocol[T_co]):
    """Takes plates, and gives for each the call that waits for what comes of it."""

    def begin(self, plate: str, *arguments: Any) -> Callable[[], T_co]:
        """Take a plate; may be called by several threads."""


@contextmanager
def plate_workers(
    work: Work[T], *, name: str, scheduler: str | None, warn: Callable[[str], None]
) -> Iterator[PlateWorkers[T]]:
    """Give those who do the work, until the block ends.

    Parameters
    ----------
    work
        What is done for each plate.
    name
        What the work is called on the cluster's pages.
    scheduler
        Address of the dask scheduler; None does the work at once, in the thread that asks for it.
    warn
        Takes a sentence on a cluster that keeps the plates waiting.
    """
    if scheduler is None:
        yield _InThisRun(work)
        return
    cluster = _OnCluster(scheduler, work, name, warn)
    try:
        yield cluster
    finally:
        cluster.close()


class _InThisRun(Generic[T]):
    def __init__(self, work: Work[T]) -> None:
        self._work = work

    def begin(self, plate: str, *arguments: Any) -> Callable[[], T]:
        done = self._work(plate, *arguments)
        return lambda: done


class _OnCluster(Generic[T]):
    """Connects when the first plate is to be made: where none is, the cluster may be down."""

    def __init__(self, address: str, work: Work[T], name: str, warn: Callable[[str], None]) -> None:
        self._address, self._work, self._name, self._warn = address, work, name, warn
        self._token = uuid4().hex  # several runs may use one cluster
        self._lock = Lock()
        self._client: Client | None = None
        self._shared: Future | None = None
        self._alone_since: float | None = None

    def begin(self, plate: str, *arguments: Any) -> Callable[[], T]:
        with self._lock:
            if self._client is None:
                self._client = _connect(self._address)
                key = f"{self._name}-shared-{self._token}"
                self._shared = self._client.submit(_Parcel, *_Parcel.pack(self._work), key=key)
        key = f"{self._name}-{plate}-{self._token}"
        return partial(self._wait, self._client.submit(_do, self._shared, plate, arguments, key=key))

    def close(self) -> None:
        """Let the cluster forget what was not begun, and disconnect."""
        if self._client is not None:
            self._client.close()

    def _wait(self, future: "Future") -> T:
        from distributed import CancelledError, KilledWorker

        try:
            result = self._result_of(future)
        except CancelledError as error:
            raise ClusterError(f"the dask scheduler at {self._address} is gone: {error}") from error
        except KilledWorker as error:
            raise WorkerLostError(
                f"{error.allowed_failures + 1} workers died with it at hand, the last at {error.last_worker.address}: "
                "their memory may not suffice, see their logs"
            ) from error
        self._work.confirm(result)
        return result

    def _result_of(self, future: "Future") -> T:
        while True:
            try:
                return pickle.loads(future.result(timeout=_LOOK_SECONDS))
            except TimeoutError:
                if future.status == "error":
                    raise  # of the work itself
                self._look_for_workers()

    def _look_for_workers(self) -> None:
        if _has_workers(self._client):
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = monotonic()
            self._warn(f"the dask scheduler at {self._address} has no workers: the plates wait for one")
        if monotonic() - self._alone_since > WITHOUT_WORKERS_SECONDS:
            raise ClusterError(
                f"the dask scheduler at {self._address} has had no workers for {WITHOUT_WORKERS_SECONDS:.0f} s: "
                f"start some with `dask worker {self._address}`"
            )


def _connect(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingsError("CPJUMP_DASK_SCHEDULER needs the extra cpjump-assets[dask]") from error
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise ClusterError(f"no dask scheduler answers at {address}, which CPJUMP_DASK_SCHEDULER names") from error


def _has_workers(client: "Client | None") -> bool:
    try:
        return client is None or bool(client.ncores())
    except OSError:
        return True  # the connection is lost, of which the plates tell themselves


class _Parcel(NamedTuple):
    """The work, and what it was packed with."""

    content: bytes
    installed: Mapping[str, str]

    @classmethod
    def pack(cls, work: Work[Any]) -> "_Parcel":
        import cloudpickle

        return cls(zlib.compress(cloudpickle.dumps(work), level=1), installed())


def _do(parcel: _Parcel, plate: str, arguments: tuple[Any, ...]) -> bytes:
    """Do the work for a plate, on a worker; give the result as bytes, as dask would look into Dagster's records."""
    from threadpoolctl import threadpool_limits

    _require(parcel.installed)
    work = _unpack(parcel.content)
    # For good: several threads of a worker that set it and put it back would do so in each other's plates.
    threadpool_limits(1, "blas")
    return pickle.dumps(work(plate, *arguments))


def _require(expected: Mapping[str, str]) -> None:
    """Refuse to work with other code or libraries than the run has: tables would differ, and nobody would know why."""
    found = installed()
    other = [f"{name} {found[name]} (expected {needed})" for name, needed in expected.items() if found[name] != needed]
    if other:
        raise ClusterError(
            f"a dask worker has {', '.join(other)}: install the same release and lock file there, and start it again"
        )


@lru_cache(maxsize=4)
def _unpack(content: bytes) -> Work[Any]:
    import cloudpickle

    return cloudpickle.loads(zlib.decompress(content))


@lru_cache(maxsize=1)
def installed() -> Mapping[str, str]:
    """Give what decides the bytes of a table: versions, and a digest of the platform's own code."""
    package = Path(__file__).parents[1]
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(path.read_bytes())
    return {
        "the platform's code": code.hexdigest()[:12],
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name) for name in _DECIDE_BYTES},
    }
