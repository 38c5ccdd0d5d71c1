"""The command line, ``cpjump``.

Belongs here: words, arguments, exit codes and how results look in a terminal. Does not belong here: any work; heavy
imports stand inside the commands, so that ``cpjump --help`` answers at once.

Exit codes: 0 done; 1 the command found what it looks for (wells that cross, a failed refresh); 2 it could not be
carried out, with one line that says why.
"""

import sys
import time
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

import click

from cpjump_assets.commands.alerts import alerts
from cpjump_assets.commands.choices import plates_of
from cpjump_assets.commands.doctor import doctor
from cpjump_assets.commands.exit_codes import FAILED, FOUND, INTERRUPTED
from cpjump_assets.commands.inventory import inventory
from cpjump_assets.commands.montage import montage
from cpjump_assets.commands.prune import prune
from cpjump_assets.commands.pull import pull
from cpjump_assets.commands.ui import ui
from cpjump_assets.commands.verify import verify
from cpjump_assets.science.errors import CpjumpError
from cpjump_assets.science.plates import BATCHES, MAIN_BATCH, MAIN_PLATES, PlateKey
from cpjump_assets.science.policies import ISSUE_KINDS, policy_without
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings

_CORES = 2
"""Threads that read single cells; each holds one well."""


class _Commands(click.Group):
    """Shows what a user can cure as one line, and leaves on Ctrl-C without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CpjumpError as error:
            click.echo(f"cpjump: {error}", err=True)
            ctx.exit(FAILED)
        except KeyboardInterrupt:
            click.echo("cpjump: interrupted; what was stored is whole, and the next run goes on from there", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """CPJUMP1, the JUMP Cell Painting pilot, as a data platform.

    Settings come from the environment: CPJUMP_GALLERY, CPJUMP_S3_ENDPOINT, CPJUMP_REFERENCE, CPJUMP_STORE and others
    (see the README).
    """


@main.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Where to work."
)
@click.option(
    "--size",
    type=click.Choice(["small", "full"]),
    default="small",
    show_default=True,
    help="About 300 or 5,792 features.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the simulated gallery.")
@click.option(
    "--reference",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take plates and reagents from this reference root.",
)
def demo(folder: Path, size: str, seed: int, reference: Path | None) -> None:
    """Do the main job on a simulated gallery, and look at what comes out.

    Simulates a gallery with planted effects, serves it over S3 on loopback, and makes everything through Dagster.

    \b
    Examples:
      cpjump demo
      cpjump demo --size full --folder /tmp/full
    """
    from cpjump_assets import demo as demonstration
    from cpjump_assets.terminal.summaries import demo_summary, following

    plan = demonstration.DemoPlan(folder=folder, size=size, seed=seed, reference=reference)
    with following("cpjump demo") as follow:
        outcome = demonstration.run(plan, on_stage=follow)
    demo_summary(outcome)


@main.command()
@click.option("--plates", help="Plate keys <batch>.<barcode> or barcodes of the main batch, comma-separated.")
@click.option(
    "--batch", "batches", multiple=True, type=click.Choice(list(BATCHES)), help="Take the plates of this batch too."
)
@click.option("--images", help="Then pull a selection of the images of these plates, measure and draw them.")
def refresh(plates: str | None, batches: tuple[str, ...], images: str | None) -> None:
    """Pull and normalize the plates that changed, then make splits, audits and scores again.

    CPJUMP_PRESET says how profiles are made; paper_2021 begins with the single cells, 23 GB a plate.

    \b
    Examples:
      cpjump refresh
      cpjump refresh --plates BR00117010,BR00117011
      cpjump refresh --batch 2020_12_08_CPJUMP1_Bleaching
      cpjump refresh --images BR00117010
    """
    from cpjump_assets.build import build_defs
    from cpjump_assets.orchestration.refresh import Refresh, RefreshError, RefreshRequest
    from cpjump_assets.terminal.summaries import following
    from cpjump_assets.web import open_instance

    if plates and batches:
        raise click.UsageError("--plates names the plates, --batch takes all of a batch: give one of them")
    settings = Settings.from_environment()
    request = RefreshRequest(
        plates=tuple(map(str, plates_of(plates))),
        batches=(MAIN_BATCH, *batches),
        image_plates=tuple(map(str, plates_of(images, option="--images"))),
        plates_per_run=settings.plates_per_run,
        preset=settings.preset,
    )
    definitions = build_defs(settings)
    with open_instance(settings) as instance, following("cpjump refresh") as follow:
        try:
            for finished in Refresh.of(settings, definitions.resolve_job_def, instance).run(request):
                follow(finished.planned.title, finished.success)
        except RefreshError as error:
            click.echo(f"cpjump: {error}", err=True)
            raise SystemExit(FOUND) from error


@main.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--plate", required=True, help="Plate key <batch>.<barcode>, or a barcode of the main batch.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write, .csv or .parquet."
)
@click.option(
    "--how",
    type=click.Choice(["median", "mean"]),
    default="median",
    show_default=True,
    help="What a well is of its cells.",
)
def aggregate(source: Path, plate: str, out: Path, how: Literal["median", "mean"]) -> None:
    """Aggregate single cells of a plate to wells.

    SOURCE is a CellProfiler backend, an SQLite file with the tables Image, Cells, Cytoplasm and Nuclei, or a folder of
    CSV files, <plate>-<well>-<site>/{Image,Cells,Cytoplasm,Nuclei}.csv. A few wells at a time are in memory.

    \b
    Examples:
      cpjump aggregate BR00117010.sqlite --plate BR00117010 --out BR00117010.csv
      cpjump aggregate analysis/ --plate BR00117010 --how mean --out means.parquet
    """
    from cpjump_assets.gallery.cells.single_cells import open_cells
    from cpjump_assets.science.aggregate import aggregate_cells
    from cpjump_assets.storage.export import export_table, require_table_suffix
    from cpjump_assets.terminal.summaries import aggregation_summary

    require_table_suffix(out)
    key = PlateKey.parse({known.barcode: str(known) for known in MAIN_PLATES}.get(plate, plate))
    started = time.monotonic()
    with open_cells(source, key) as cells:
        aggregated = aggregate_cells(cells, how, workers=_CORES)
    export_table(aggregated.profiles.to_frame(), out)
    aggregation_summary(aggregated, out, how=how, seconds=time.monotonic() - started)


@main.command()
@click.argument("strategy", type=click.Choice(STRATEGIES), metavar="STRATEGY")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write, .csv or .parquet."
)
@click.option(
    "--exclude",
    multiple=True,
    type=click.Choice(list(ISSUE_KINDS)),
    help="Leave out the wells with this known issue; may be given more than once. Default: those of CPJUMP_EXCLUDE.",
)
def split(strategy: str, out: Path, exclude: tuple[str, ...]) -> None:
    """Write the split manifest of a strategy, from the reference tables alone.

    \b
    STRATEGY is one of
      cpjump1_official_representation  (the default of the benchmark)
      cpjump1_official_gene_compound
      cellclip_cpjump_style

    \b
    Examples:
      cpjump split cpjump1_official_representation --out manifest.csv
      cpjump split cellclip_cpjump_style --exclude seeding_failure --out manifest.csv
      CPJUMP_REFERENCE=path/to/reference cpjump split cpjump1_official_gene_compound --out manifest.parquet
    """
    from cpjump_assets.gallery.reference.metadata import load_metadata
    from cpjump_assets.science.leakage import validate_manifest
    from cpjump_assets.science.splits import split_manifest
    from cpjump_assets.storage.export import export_table
    from cpjump_assets.terminal.summaries import manifest_summary

    policy = policy_without(exclude or Settings.from_environment().exclude)
    metadata = load_metadata(_reference())
    manifest = split_manifest(metadata.wells, strategy, policy=policy.name)
    validate_manifest(manifest, metadata.wells, metadata.perturbations, strategy=strategy)
    export_table(manifest, out)
    manifest_summary(manifest, out)


@main.command()
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--subset-column", help="Column that names the subset, where several could.")
def audit(manifest: Path, subset_column: str | None) -> None:
    """Audit any manifest of CPJUMP1 wells for leakage; exit with 1 when wells cross subsets.

    MANIFEST is a CSV file with Metadata_Plate, Metadata_Well and a column that names the subset.

    \b
    Example:
      cpjump audit my_split.csv
    """
    from cpjump_assets.gallery.reference.metadata import load_metadata
    from cpjump_assets.science.foreign_manifests import audit_foreign_manifest
    from cpjump_assets.storage.export import read_user_csv
    from cpjump_assets.terminal.summaries import audit_table

    frame = read_user_csv(manifest)
    metadata = load_metadata(_reference())
    table = audit_foreign_manifest(
        frame, metadata.wells, metadata.perturbations, name=manifest.name, subset_column=subset_column
    )
    audit_table(table, title=f"leakage audit of {manifest.name}")
    crossing = table.loc[table["rule"] == "well", "groups_crossing"].sum()
    sys.exit(FOUND if crossing else 0)


def _reference() -> Any:
    from cpjump_assets.gallery.reference.root import ReferenceRoot

    settings = Settings.from_environment()
    return ReferenceRoot.parse(settings.reference, endpoint=settings.s3_endpoint)


@main.command()
def version() -> None:
    """Print the versions of the platform and of Dagster."""
    for package in ("cpjump-assets", "dagster"):
        click.echo(f"{package} {installed_version(package)}")


main.add_command(alerts)
main.add_command(doctor)
main.add_command(inventory)
main.add_command(montage)
main.add_command(prune)
main.add_command(pull)
main.add_command(ui)
main.add_command(verify)
