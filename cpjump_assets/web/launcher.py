"""The web server behind its guard, with the daemon beside it.

Belongs here: starting both, and ending both whatever happens. Does not belong here: what is let through (``guard``),
the daemon's process (``daemon``).
"""

import os
import signal
import socket
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings
from cpjump_assets.web.addresses import HOST, own_origins
from cpjump_assets.web.daemon import running_daemon
from cpjump_assets.web.guard import guard
from cpjump_assets.web.home import open_instance

DEFAULT_PORT = 3000
_CODE = "cpjump_assets.definitions"
_STOP_SECONDS = 10


def serve(settings: Settings, *, port: int = DEFAULT_PORT, read_only: bool = False) -> None:
    """Serve the web UI on 127.0.0.1, with the daemon that runs queued runs, schedules and sensors, until interrupted.

    Parameters
    ----------
    settings
        The platform to show; ``ui_token`` is asked for, and ``ui_url`` is an address under which it is reached.
    port
        Port of this machine.
    read_only
        Let nobody change anything by the web UI; the daemon works all the same.

    Raises
    ------
    SettingsError
        If the port is taken, the Dagster home cannot be made, or ``ui_url`` has a path.
    DaemonError
        If the daemon ended by itself: the server ends too, so that whoever watches it starts both again.
    """
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster_webserver.webserver import DagsterWebserver

    from cpjump_assets.web.read_only import ReadOnlyWebserver

    # The code servers are children that read the environment; none of them needs the token.
    replace(settings, ui_token=None).export()
    # Runs are launched with the name of the code location, so the daemon, which names it after the module, must agree.
    target = ModuleTarget(_CODE, attribute=None, working_directory=str(Path.cwd()), location_name=_CODE)
    webserver = ReadOnlyWebserver if read_only else DagsterWebserver
    own_origins(port, settings.ui_url)
    _require_free(port)
    # Whatever ends the server must end the daemon too: uvicorn stops in order on SIGTERM and then raises it again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with (
        open_instance(settings) as instance,
        running_daemon(_CODE),
        WorkspaceProcessContext(
            instance,
            workspace_load_target=target,
            version=version("dagster"),
            read_only=read_only,
            code_server_log_level="warning",
        ) as workspace,
    ):
        app = webserver(workspace).create_asgi_app()
        guarded = guard(app, port=port, ui_url=settings.ui_url, token=settings.ui_token)
        # Pages that are still open must not hold up Ctrl-C.
        uvicorn.run(guarded, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=_STOP_SECONDS)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} of {HOST} cannot be used: {error.strerror}; choose one by --port"
            ) from error
