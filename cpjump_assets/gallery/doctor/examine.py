"""The whole examination: what depends on what, and in which order it is told.

Belongs here: the sequence, and what is skipped after a failure. Does not belong here: any single examination.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from cpjump_assets.gallery.client import CONNECTIONS, gallery_client
from cpjump_assets.gallery.doctor import endpoint, machine, plates, protocol, reference_tables, s3_store, samples
from cpjump_assets.gallery.doctor.findings import Finding, Status, skipped
from cpjump_assets.gallery.doctor.holdings import BACKENDS, PROFILES, look_up
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.presets import require_preset
from cpjump_assets.settings import Settings

AREAS = (
    machine.SETTINGS,
    endpoint.AREA,
    plates.PLATES,
    plates.FILES,
    samples.AREA,
    protocol.AREA,
    reference_tables.AREA,
    machine.STORE,
)
"""In the order in which they are told."""
_OF_GALLERY = (plates.PLATES, plates.FILES, samples.AREA, protocol.AREA)
_QUICK = "--quick reads listings alone"
# Three tries of five seconds: an endpoint that is down is known as such in 20 seconds at most.
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5.0, 10.0, 3


def examine(given: Mapping[str, str], *, open_image: samples.OpenImage, quick: bool = False) -> tuple[Finding, ...]:
    """Look over the gallery, the reference root and the store that are configured; nothing is raised, nothing changed.

    Parameters
    ----------
    given
        The variables that are set, by name (``settings.given_variables``).
    open_image
        Opens a TIFF, or raises a ``CpjumpError``.
    quick
        Read nothing of the gallery but listings.

    Returns
    -------
    tuple of Finding
        Area by area.
    """
    bad = tuple(machine.bad_settings(given))
    if bad:
        return (*bad, *_skipped_areas(*AREAS[1:], because="needs: settings"))
    settings = Settings.from_environment(given)
    with ThreadPoolExecutor(1, thread_name_prefix="reference") as pool:
        reference = pool.submit(reference_tables.reference_findings, settings.reference, endpoint=settings.s3_endpoint)
        return (
            *machine.settings_findings(settings, given),
            *_gallery_findings(settings, open_image, quick=quick),
            *reference.result(),
            *s3_store.s3_store_findings(settings),
            *machine.store_findings(settings),
        )


def _gallery_findings(settings: Settings, open_image: samples.OpenImage, *, quick: bool) -> Iterator[Finding]:
    """Examine the endpoint, then what it lists, then what is in it."""
    gallery = _connect(settings)
    reached = endpoint.examine_endpoint(gallery)
    yield from reached.findings
    if not reached.usable:
        yield from _skipped_areas(*_OF_GALLERY, because="needs: endpoint")
        return
    try:
        holdings = look_up(gallery)
    except GalleryError as error:
        yield Finding(plates.PLATES, "listing", Status.ERROR, str(error), advice="run `cpjump doctor` again later")
        yield from _skipped_areas(*_OF_GALLERY[1:], because="needs: plates")
        return
    from_cells = require_preset(settings.preset).aggregation == "mean"
    expected = plates.Expected(BACKENDS if from_cells else PROFILES, simulated=reached.simulated)
    yield from plates.plate_findings(gallery, holdings, expected)
    yield from plates.file_findings(holdings)
    if quick:
        yield from _skipped_areas(samples.AREA, because=_QUICK)
        yield from skipped(protocol.AREA, *protocol.ASKED, because=_QUICK)
    else:
        yield from samples.sample_findings(gallery, holdings, open_image)
        yield from protocol.answer_findings(gallery, holdings)
    yield from protocol.etag_findings(holdings)


def _connect(settings: Settings) -> Gallery:
    at_once = settings.connections or CONNECTIONS
    client = gallery_client(
        settings.s3_endpoint,
        connections=at_once,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        attempts=_ATTEMPTS,
    )
    return Gallery(GalleryRoot.parse(settings.gallery), client, at_once)


def _skipped_areas(*areas: str, because: str) -> Iterator[Finding]:
    return (Finding(area, "everything", Status.SKIPPED, because) for area in areas)
