"""``cpjump doctor``: look the set-up over before anything is pulled.

Belongs here: its options, what it prints as JSON, its exit code. Does not belong here: any examination
(``gallery.doctor``), how findings look in a terminal (``terminal.doctor``).
"""

import json
import sys
from dataclasses import asdict

import click

from cpjump_assets.commands.exit_codes import FOUND
from cpjump_assets.settings import given_variables


@click.command()
@click.option("--quick", is_flag=True, help="Read nothing of the gallery but listings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a finding.")
def doctor(quick: bool, as_json: bool) -> None:
    """Look over the gallery, the reference root and the store that are configured; pull nothing, change nothing.

    Says what will be used, what is missing and what to do: whether the endpoint answers, which plates and profile
    files the gallery has, whether one file of each kind can be read, whether the reference tables are as released,
    whether the store can be written. Exits with 1 when something stands in the way of the main job.

    \b
    Examples:
      cpjump doctor
      cpjump doctor --quick
      CPJUMP_S3_ENDPOINT=http://127.0.0.1:9000 cpjump doctor --json
    """
    from cpjump_assets.gallery.doctor.examine import examine
    from cpjump_assets.gallery.doctor.findings import has_errors
    from cpjump_assets.imaging.tiff import require_image
    from cpjump_assets.terminal.doctor import examining, show

    with examining():
        findings = examine(given_variables(), open_image=require_image, quick=quick)
    if as_json:
        for finding in findings:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
    else:
        show(findings)
    sys.exit(FOUND if has_errors(findings) else 0)
