"""The guarded launcher of the Dagster web UI.

Belongs here: the Dagster home that every command shares, the web server with its guard, the daemon beside it. Does not
belong here: definitions (``build``), the command line's words (``cli``).

Dagster's own web server has no sign-in and executes a mutation from any web page that the same browser has open: a form
that posts to ``/graphql?query=...`` is enough. The guard lets through only what the UI itself sends.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import dagster as dg

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings

HOST = "127.0.0.1"
DEFAULT_PORT = 3000
_CODE = "cpjump_assets.definitions"
_STOP_SECONDS = 10
_OPERATION_NAME = b"op"
"""The one query parameter that the UI sends with a POST: the name of the operation, for people who read logs."""

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


def instance_settings(settings: Settings) -> Path:
    """Give the project's ``dagster.yaml``, or the one for Postgres: in an installed package, else above it."""
    name = "dagster.yaml" if settings.postgres_url is None else "dagster.postgres.yaml"
    package = Path(__file__).parent
    beside, above = package / name, package.parent / name
    return beside if beside.is_file() else above


def prepare_home(settings: Settings) -> Path:
    """Make the Dagster home and put the project's ``dagster.yaml`` into it; one that lies elsewhere is ignored.

    A ``dagster.yaml`` that is already there is left alone: somebody chose it.

    Raises
    ------
    SettingsError
        If the folder cannot be made, or if Postgres is asked for and the file that is there does not name it.
    """
    home = settings.dagster_home
    chosen = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not chosen.exists():
            shutil.copyfile(instance_settings(settings), chosen)
        if settings.postgres_url is not None and "CPJUMP_POSTGRES_URL" not in chosen.read_text():
            raise SettingsError(
                f"CPJUMP_POSTGRES_URL is set, but {chosen} keeps runs elsewhere: move it away, and the project's "
                "dagster.postgres.yaml takes its place"
            )
    except OSError as error:
        raise SettingsError(f"CPJUMP_STORE or DAGSTER_HOME: {home} cannot be written: {error.strerror}") from error
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance in which runs and events of these settings are recorded."""
    with dg.DagsterInstance.from_config(str(prepare_home(settings))) as instance:
        yield instance


def guard(app: App, *, port: int) -> App:
    """Let through only requests that the UI itself sends.

    Refused (403) are a foreign ``Host`` (a name that was rebound to this machine), a foreign ``Origin``, anything that
    the browser marks as cross-site, and every request that could change something unless it is a POST of JSON whose
    query string holds no query; GraphQL by GET is refused whole. A browser cannot send such a POST to another site
    without asking first, and this server answers no such question. No page may be framed by another, where a visitor
    could be made to click in it.
    """
    own = {f"{name}:{port}" for name in (HOST, "localhost")}

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or _is_own(scope, own):
            await app(scope, receive, _unframed(send))
        else:
            await _refuse(scope, send)

    return guarded


def _is_own(scope: Scope, own: set[str]) -> bool:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get("origin")
    if headers.get("host") not in own or (origin is not None and origin.partition("://")[2] not in own):
        return False
    if scope["type"] == "websocket":
        return origin is not None
    if scope["path"] != "/graphql" and scope["method"] in ("GET", "HEAD"):
        # A page elsewhere may link here; only then is the request cross-site, and it changes nothing.
        return True
    return (
        scope["method"] == "POST"
        and set(parse_qs(scope["query_string"], keep_blank_values=True)) <= {_OPERATION_NAME}
        and headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        and headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    )


def _unframed(send: Any) -> Any:
    """Forbid on every answer that it is shown inside of another page."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"x-frame-options", b"DENY")]}
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = b"refused: this server answers only its own pages\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(settings: Settings, *, port: int = DEFAULT_PORT) -> None:
    """Serve the web UI on 127.0.0.1, with the daemon that runs queued runs, schedules and sensors, until interrupted.

    Parameters
    ----------
    settings
        What the code location is loaded with.
    port
        TCP port.

    Raises
    ------
    SettingsError
        If the port is taken, or the Dagster home cannot be made.
    """
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    settings.export()  # the code servers are children that read the environment
    # Runs are launched with the name of the code location, so the daemon, which names it after the module, must agree.
    target = ModuleTarget(_CODE, attribute=None, working_directory=str(Path.cwd()), location_name=_CODE)
    _require_free(port)
    # Whatever ends the server must end the daemon too: uvicorn stops in order on SIGTERM and then raises it again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with (
        open_instance(settings) as instance,
        _daemon(),
        WorkspaceProcessContext(instance, workspace_load_target=target, code_server_log_level="warning") as workspace,
    ):
        app = guard(create_app_from_workspace_process_context(workspace), port=port)
        uvicorn.run(app, host=HOST, port=port, log_level="warning")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} of {HOST} cannot be used: {error.strerror}; choose one by --port"
            ) from error


@contextmanager
def _daemon() -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "dagster._daemon",
        "run",
        "-m",
        _CODE,
        "--log-level",
        "error",
    ]
    # A session of its own: Ctrl-C reaches the web server first, which then ends the daemon with all its children.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
