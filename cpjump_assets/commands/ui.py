"""``cpjump ui``: the guarded web UI.

Belongs here: its options, and the address that a user opens. Does not belong here: the server, its guard and the
sign-in (``web``).
"""

import secrets
from dataclasses import replace
from pathlib import Path

import click

from cpjump_assets.settings import Settings

_TOKEN_BYTES = 24


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option(
    "--demo",
    "folder",
    is_flag=False,
    flag_value="demo",
    type=click.Path(path_type=Path),
    help="Show the demo of this folder (default: demo) and serve its gallery.",
)
@click.option("--read-only", is_flag=True, help="Let nobody change anything; what is scheduled runs all the same.")
@click.option(
    "--token",
    "ask",
    is_flag=True,
    help="Ask each browser once for a token: the one of CPJUMP_UI_TOKEN, which is asked for in any case, or a new one.",
)
def ui(port: int, folder: Path | None, read_only: bool, ask: bool) -> None:
    """Serve the web UI on 127.0.0.1, guarded against other web pages.

    Other users of this machine reach it too: there, use --token. From elsewhere it is reached through a proxy whose
    address is CPJUMP_UI_URL.

    \b
    Examples:
      cpjump ui
      cpjump ui --demo            after `cpjump demo`
      cpjump ui --port 3001 --read-only
      cpjump ui --token
    """
    from cpjump_assets.demo import served
    from cpjump_assets.web import serve

    settings = Settings.from_environment()
    address = f"http://127.0.0.1:{port}"
    if ask and settings.ui_token is None:
        settings = replace(settings, ui_token=secrets.token_urlsafe(_TOKEN_BYTES))
        address += f"/?token={settings.ui_token}"
    click.echo(f"cpjump: the web UI comes up on {address} (Ctrl-C ends it)")
    if folder is None:
        serve(settings, port=port, read_only=read_only)
        return
    with served(folder) as shown:
        serve(replace(shown, ui_token=settings.ui_token, ui_url=settings.ui_url), port=port, read_only=read_only)
