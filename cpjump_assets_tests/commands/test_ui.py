"""``cpjump ui``: what it serves, and the address that it prints."""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cpjump_assets import demo, web
from cpjump_assets.cli import main
from cpjump_assets.settings import Settings

TOKEN = "a token from the environment"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, dict[str, Any]]]:
    """Give what would be served."""
    calls: list[tuple[Settings, dict[str, Any]]] = []
    monkeypatch.setattr(web, "serve", lambda settings, **options: calls.append((settings, options)))
    return calls


def _printed(*options: str, **environment: str) -> str:
    result = CliRunner().invoke(main, ["ui", *options], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def test_nothing_is_asked_for_by_default(served: list[tuple[Settings, dict[str, Any]]]) -> None:
    assert "http://127.0.0.1:3000 (" in _printed()
    ((settings, options),) = served
    assert settings.ui_token is None
    assert options == {"port": 3000, "read_only": False}


def test_a_new_token_is_printed_once_and_differs_each_time(served: list[tuple[Settings, dict[str, Any]]]) -> None:
    for port in ("3001", "3002"):
        (token,) = re.findall(rf"http://127.0.0.1:{port}/\?token=(\S+) ", _printed("--token", "--port", port))
        assert served[-1][0].ui_token == token
        assert len(token) >= 32
    assert served[0][0].ui_token != served[1][0].ui_token


@pytest.mark.parametrize("options", [(), ("--token",)])
def test_the_token_of_the_environment_is_asked_for_and_never_printed(
    served: list[tuple[Settings, dict[str, Any]]], options: tuple[str, ...]
) -> None:
    assert TOKEN not in _printed(*options, CPJUMP_UI_TOKEN=TOKEN)
    assert served[0][0].ui_token == TOKEN


def test_the_demo_is_guarded_as_everything_else(
    served: list[tuple[Settings, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = Settings(store=tmp_path)
    monkeypatch.setattr(demo, "served", lambda folder: nullcontext(shown))
    _printed("--demo", "--read-only", CPJUMP_UI_TOKEN=TOKEN, CPJUMP_UI_URL="https://lab.example")
    ((settings, options),) = served
    assert (settings.store, settings.ui_token, settings.ui_url) == (tmp_path, TOKEN, "https://lab.example")
    assert options["read_only"]
