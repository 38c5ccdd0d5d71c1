"""Images looked up by key: few requests, and nothing that was not asked for."""

from cpjump_assets.gallery.gallery import Gallery

FOLDER = "pilot/images/batch/images/BR00116991__2020-11-05T19_51_35-Measurement1/Images"


def _key(well, site, channel):
    return f"{FOLDER}/{well}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"


def test_images_are_found_by_one_request_a_site(served):
    for well in ("r01c01", "r01c02"):
        for site in (1, 2):
            for channel in range(1, 9):
                served.put(_key(well, site, channel), f"{well} {site} {channel}".encode())
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    held = [_key("r01c01", 1, channel) for channel in range(1, 6)] + [_key("r01c02", 2, 3)]
    asked = [*held, _key("r01c02", 2, 9), _key("r05c05", 1, 1)]
    before = len(served.server.requests)
    found = gallery.look_up_images(asked)
    assert sorted(found) == sorted(held)
    assert len(served.server.requests) - before == 3
    assert found == {item.key: item for item in served.listed(FOLDER) if item.key in held}


def test_a_key_without_folder_or_hyphen_is_found_too(served):
    for key in ("image.tiff", "image.tiff.old", "a-b/image.tiff"):
        served.put(key, b"pixels")
    gallery = Gallery.connect(f"s3://{served.bucket}", endpoint=served.server.endpoint)
    assert sorted(gallery.look_up_images(["image.tiff", "a-b/image.tiff"])) == ["a-b/image.tiff", "image.tiff"]
    assert gallery.look_up_images([]) == {}
