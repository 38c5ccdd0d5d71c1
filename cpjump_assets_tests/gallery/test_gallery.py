from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.science.plates import MAIN_PLATES

PLATE = MAIN_PLATES[0]


def test_a_gallery_is_listed_and_pulled_and_tells_its_origin(served):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    assert gallery.connections == 4
    assert gallery.origin() == "gallery"
    served.put(gallery.root.marker_key, b"simulated, seed 7\n")
    assert gallery.origin() == "simulated, seed 7"
    served.put(gallery.root.profile_key(PLATE), b"profiles")
    profile = gallery.list_plates([PLATE])[PLATE].profile
    report = gallery.pull([profile], served.store)
    assert [row.key for row in report.pulled] == [gallery.root.profile_key(PLATE)]
    assert (served.store / profile.key).read_bytes() == b"profiles"
    assert gallery.pull([profile], served.store).skipped == 1
