from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.changes import compare, keep_listings, total
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 9, tzinfo=UTC)
VERSIONS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 1), st.sampled_from(["e", "f"])))


def listed(key: str, size: int = 1, etag: str = "e") -> GalleryObject:
    return GalleryObject(key, size, etag, MOMENT)


def row(key: str, size: int = 1, etag: str = "e") -> InventoryRow:
    return InventoryRow(key, size, etag, "then", None, None, Verification.MD5, "then", "then", 0)


@given(VERSIONS, VERSIONS)
def test_every_object_is_one_of_four(there, here):
    changes = compare(
        [listed(key, *version) for key, version in sorted(there.items())],
        [row(key, *version) for key, version in sorted(here.items())],
    )
    both = there.keys() & here.keys()
    assert {item.key for item in changes.new} == there.keys() - here.keys()
    assert {item.key for item in changes.vanished} == here.keys() - there.keys()
    assert {item.key for item in changes.changed} == {key for key in both if there[key] != here[key]}
    assert {item.key for item in changes.unchanged} == {key for key in both if there[key] == here[key]}
    assert sum(changes.counts().values()) == len(there.keys() | here.keys())


def test_a_later_time_alone_is_no_change():
    changes = compare([replace(listed("a"), last_modified=LATER)], [row("a")])
    assert changes.counts() == {"new": 0, "changed": 0, "unchanged": 1, "vanished": 0}


def test_what_is_listed_is_kept_and_what_vanished_is_marked_until_it_is_back(tmp_path):
    with Inventory(tmp_path) as inventory:
        inventory.record([row("p/a"), row("p/b"), row("p/c"), row("q/a")])
        objects = (listed("p/a"), listed("p/b", etag="newer"), listed("p/d"))
        changes = keep_listings(inventory, {"p/": objects, "r/": ()}, moment=MOMENT)
        assert changes["p/"].counts() == {"new": 1, "changed": 1, "unchanged": 1, "vanished": 1}
        assert total(changes.values()) == "1 new, 1 changed, 1 unchanged, 1 vanished"
        assert inventory.last_listing("p/").objects == objects
        assert inventory.last_listing("r/").listed_at == "2026-01-02T03:04:05+00:00"
        marks = {found.key: found.vanished_at for found in inventory.rows_below()}
        assert marks == {"p/a": None, "p/b": None, "p/c": "2026-01-02T03:04:05+00:00", "q/a": None}

        keep_listings(inventory, {"p/": (listed("p/b"),)}, moment=LATER)
        marks = {found.key: found.vanished_at for found in inventory.rows_below("p/")}
        assert marks == {"p/a": "2026-01-09T00:00:00+00:00", "p/b": None, "p/c": "2026-01-02T03:04:05+00:00"}

        back = (listed("p/a"), listed("p/b"), listed("p/c", etag="newer"))
        keep_listings(inventory, {"p/": back}, moment=LATER)
        assert {found.vanished_at for found in inventory.rows_below()} == {None}


def test_a_prefix_speaks_of_nothing_beside_it(tmp_path):
    with Inventory(tmp_path) as inventory:
        inventory.record([row("plates/BR1/x"), row("plates/BR10/x")])
        changes = keep_listings(inventory, {"plates/BR1/": ()}, moment=MOMENT)
        assert [found.key for found in changes["plates/BR1/"].vanished] == ["plates/BR1/x"]
        assert inventory.rows(["plates/BR10/x"])["plates/BR10/x"].vanished_at is None
