"""``cpjump pull``: parts of the gallery, brought into the store.

Belongs here: options, and the way from them to a listing, a plan and a pull. Does not belong here: each of these
(``gallery``), how they look (``terminal.pull``).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cpjump_assets.commands.choices import channels_of, plates_of, sites_of, wells_of, words
from cpjump_assets.commands.exit_codes import FAILED, FOUND
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.levels import LEVELS, Level
from cpjump_assets.science.plates import BATCHES, MAIN_PLATES, PLATES, PlateKey
from cpjump_assets.settings import Settings, parse_bytes

if TYPE_CHECKING:
    from cpjump_assets.gallery.contents import Choice, Contents, Kind
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.listing import GalleryObject
    from cpjump_assets.gallery.reference.released import ReleasedFile

_PLATE_OPTIONS = (
    click.option(
        "--plates", metavar="PLATES", help="Barcodes of the main batch, or <batch>.<barcode>, comma-separated."
    ),
    click.option(
        "--batch",
        "batches",
        multiple=True,
        metavar="BATCH",
        type=click.Choice(list(BATCHES)),
        help="All plates of a batch.",
    ),
)
_WELL_OPTIONS = (
    click.option(
        "--wells", metavar="WELLS", help="Wells such as A01, or ranges such as A01-B12, comma-separated. Default: all."
    ),
    click.option("--sites", metavar="SITES", help="Sites such as 1,5 or 1-4. Default: all."),
)
_PULL_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Say what would be pulled, and pull nothing."),
    click.option("--budget", metavar="AMOUNT", help="Bytes that may come, such as 100GB. Default: CPJUMP_PULL_BUDGET."),
    click.option(
        "--release",
        is_flag=True,
        help="Compare profiles and image sets with the sums of the 2021 release too, from the reference root.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the plan or the report as JSON."),
)


def _with(*options: Callable[..., Any]) -> Callable[..., Any]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group()
def pull() -> None:
    """Bring parts of the gallery into the store, verified.

    What is held already is not asked for again, and a pull that was interrupted goes on where it ended. Without
    --plates and --batch, all plates of the main batch are meant. Exit code 1 says that some objects could not be
    pulled, and that the others are in place.

    \b
    Examples:
      cpjump pull profiles --dry-run
      cpjump pull profiles --level selected --plates BR00117010,BR00117011
      cpjump pull images --plates BR00117010 --wells A01-A03 --sites 1 --channels fluorescence
      cpjump pull backends --plates BR00117010 --budget 30GB
    """


@pull.command()
@_with(*_PLATE_OPTIONS, *_PULL_OPTIONS)
@click.option("--level", "levels", multiple=True, type=click.Choice(LEVELS), help="Only profiles of this level.")
@click.option("--suffix", "suffixes", help="Only files <plate><suffix>.csv.gz, such as _spherized; comma-separated.")
def profiles(
    plates: str | None, batches: tuple[str, ...], levels: tuple[Level, ...], suffixes: str | None, **how: Any
) -> None:
    """Pull profiles, at all levels that the gallery has."""
    from cpjump_assets.gallery.contents import Choice
    from cpjump_assets.gallery.layout import LEVEL_SUFFIXES

    chosen = frozenset([*(LEVEL_SUFFIXES[level] for level in levels), *words(suffixes)])
    _pull("profiles", _plates(plates, batches), Choice(suffixes=chosen or None), **how)


@pull.command()
@_with(*_PLATE_OPTIONS, *_WELL_OPTIONS, *_PULL_OPTIONS)
@click.option(
    "--channels",
    metavar="CHANNELS",
    help="Mito, AGP, RNA, ER, DNA, HighZBF, LowZBF, Brightfield; fluorescence for the first five, brightfields for the "
    "other three. Default: all.",
)
def images(
    plates: str | None, batches: tuple[str, ...], wells: str | None, sites: str | None, channels: str | None, **how: Any
) -> None:
    """Pull images, 2 MB each; a plate has 27,648 of them."""
    from cpjump_assets.gallery.contents import Choice

    if not plates and not batches:
        raise click.UsageError(
            "the gallery has 3 million images, 6 TB: say of which plates, for example "
            "--plates BR00117010 --wells A01-A03 --sites 1 --channels fluorescence"
        )
    choice = Choice(wells=wells_of(wells), sites=sites_of(sites), channels=channels_of(channels))
    _pull("images", _plates(plates, batches), choice, **how)


@pull.command()
@_with(*_PLATE_OPTIONS, *_WELL_OPTIONS, *_PULL_OPTIONS)
def analysis(plates: str | None, batches: tuple[str, ...], wells: str | None, sites: str | None, **how: Any) -> None:
    """Pull CellProfiler's tables of single cells, one folder per well and site."""
    from cpjump_assets.gallery.contents import Choice

    choice = Choice(wells=wells_of(wells), sites=sites_of(sites))
    _pull("analysis", _plates(plates, batches), choice, **how)


_WHOLE_PLATES: dict["Kind", str] = {
    "load-data": "Pull image sets, load_data.csv and load_data_with_illum.csv.",
    "illumination": "Pull illumination functions, 37 MB per plate.",
    "backends": "Pull the single cells, an SQLite file of some 23 GB per plate.",
    "platemaps": "Pull the plate maps of the plates' batches.",
}


def _of_whole_plates(kind: "Kind", summary: str) -> click.Command:
    @click.command(kind, help=summary)
    @_with(*_PLATE_OPTIONS, *_PULL_OPTIONS)
    def command(plates: str | None, batches: tuple[str, ...], **how: Any) -> None:
        _pull(kind, _plates(plates, batches), None, **how)

    return command


for _kind, _summary in _WHOLE_PLATES.items():
    pull.add_command(_of_whole_plates(_kind, _summary))


@pull.command()
@_with(*_PULL_OPTIONS)
def metadata(**how: Any) -> None:
    """Pull everything that describes the experiment: plate maps, and annotations of reagents."""
    _pull("metadata", (), None, **how)


def _plates(plates: str | None, batches: tuple[str, ...]) -> tuple[PlateKey, ...]:
    if plates and batches:
        raise click.UsageError("--plates names the plates, --batch takes all of a batch: give one of them")
    if batches:
        return tuple(plate for plate in PLATES if plate.batch in batches)
    return plates_of(plates) or MAIN_PLATES


def _pull(
    kind: "Kind",
    plates: tuple[PlateKey, ...],
    choice: "Choice | None",
    *,
    dry_run: bool,
    budget: str | None,
    release: bool,
    as_json: bool,
) -> None:
    """List, plan, and pull or say what would be pulled."""
    from cpjump_assets.gallery.contents import EVERYTHING, contents_of
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.terminal.pull import listing

    settings = Settings.from_environment()
    allowed = settings.pull_budget if budget is None else parse_bytes("--budget", budget)
    gallery = Gallery.of(settings)
    what = f"{kind} of {gallery.root}"
    with listing(what):
        contents = contents_of(gallery, kind, plates, choice or EVERYTHING)
    if not any(contents.parts.values()):
        raise GalleryError(f"{gallery.root} holds none of the {kind} that were asked for")
    request = _Request(gallery, settings.gallery_folder, contents, what, allowed, as_json)
    if dry_run:
        _say_what_would_come(request)
    else:
        _bring(request, _released(settings, request) if release else {})


class _Request(NamedTuple):
    """What is wanted from where, and how it is told."""

    gallery: "Gallery"
    folder: Path
    contents: "Contents"
    what: str
    budget: int
    as_json: bool

    @property
    def objects(self) -> "Iterator[GalleryObject]":
        return chain.from_iterable(self.contents.parts.values())


def _released(settings: Settings, request: _Request) -> Mapping[str, "ReleasedFile"]:
    """Look up what was released of the wanted objects."""
    from cpjump_assets.gallery.reference.released import Release
    from cpjump_assets.gallery.reference.transports import open_transport

    release = Release(open_transport(settings.reference, endpoint=settings.s3_endpoint), request.gallery.root)
    return release.files(item.key for item in request.objects)


def _say_what_would_come(request: _Request) -> None:
    from cpjump_assets.gallery.transfer.plan import total_plan
    from cpjump_assets.terminal.pull import plan_table

    plans = {part: request.gallery.plan(objects, request.folder) for part, objects in request.contents.parts.items()}
    whole = total_plan(plans.values())
    if not request.as_json:
        plan_table(plans, whole, title=request.what, budget=request.budget)
        return
    parts = {part: plan.sums() for part, plan in plans.items()}
    _print_json(request, {"budget": request.budget, **whole.sums(), "parts": parts})


def _bring(request: _Request, released: Mapping[str, "ReleasedFile"]) -> None:
    from cpjump_assets.gallery.transfer.report import IncompletePullError
    from cpjump_assets.terminal.pull import following_pull, pull_summary

    request.gallery.keep_listings(request.contents.folders, request.folder)
    failure: IncompletePullError | None = None
    with following_pull() as progress:
        try:
            report = request.gallery.pull(
                request.objects, request.folder, progress=progress, budget=request.budget, released=released
            )
        except IncompletePullError as error:
            failure, report = error, error.report
    if request.as_json:
        _print_json(request, report.sums() | report.findings())
    else:
        pull_summary(report, request.folder)
    if failure is not None:
        click.echo(f"cpjump: {failure}", err=True)
        raise SystemExit(FAILED if failure.given_up else FOUND)


def _print_json(request: _Request, values: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"what": request.what, "folder": str(request.folder), **values}, indent=2))
