from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.kept_listing import KeptListing, pack, unpack

KEYS = st.text(st.characters(codec="utf-8"), max_size=20)
OBJECTS = st.builds(
    GalleryObject,
    key=KEYS.map("p/".__add__),
    size=st.integers(0, 2**50),
    etag=st.text(st.characters(codec="utf-8"), max_size=8),
    last_modified=st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(OBJECTS, max_size=5))
def test_a_listing_comes_back_as_it_was(objects):
    listing = KeptListing("p/", "2026-01-02T03:04:05+00:00", tuple(objects))
    assert unpack(listing.prefix, listing.listed_at, pack(listing)) == listing
    assert (listing.count, listing.bytes) == (len(objects), sum(item.size for item in objects))


def test_a_plate_of_images_takes_40_bytes_an_image():
    generator = np.random.default_rng(0)
    objects = [
        GalleryObject(
            f"i/r{number // 72:02d}f{number % 9:02d}p01-ch{number % 8 + 1}sk1fk1fl1.tiff",
            2_000_000 + int(generator.integers(200_000)),
            generator.bytes(16).hex(),
            datetime.fromtimestamp(1_600_000_000 + int(generator.integers(86_400)), UTC),
        )
        for number in range(5000)
    ]
    assert len(pack(KeptListing("i/", "now", tuple(objects)))) < 42 * len(objects)
