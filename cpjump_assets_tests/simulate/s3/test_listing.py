"""Pages are checked against a listing that rolls up all keys first and then cuts the list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.listing import ListQuery, entry_of, list_page, token_of

KEYS = st.lists(st.text(alphabet="ab/-é\U0001f9ea", min_size=1, max_size=6), unique=True, max_size=25).map(
    lambda keys: sorted(keys, key=str.encode)
)
SHORT = st.text(alphabet="ab/-é", max_size=3)


def plain_entries(keys, prefix, delimiter, after):
    """List all entries, keys and common prefixes, in byte order."""
    entries = set()
    for key in keys:
        if key.startswith(prefix):
            rest = key[len(prefix) :]
            inside = delimiter and delimiter in rest
            entries.add((prefix + rest.split(delimiter)[0] + delimiter, True) if inside else (key, False))
    return sorted((entry for entry in entries if entry[0] > after), key=lambda entry: entry[0].encode())


@given(keys=KEYS, prefix=SHORT, delimiter=st.sampled_from(["", "/", "-", "a/"]), after=SHORT, limit=st.integers(1, 30))
def test_a_page_is_the_head_of_the_plain_listing(keys, prefix, delimiter, after, limit):
    expected = plain_entries(keys, prefix, delimiter, after)
    page = list_page(keys, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
    assert list(page.keys) == [name for name, common in expected[:limit] if not common]
    assert list(page.common_prefixes) == [name for name, common in expected[:limit] if common]
    assert page.truncated == (len(expected) > limit)
    assert page.last == (expected[:limit][-1][0] if expected else "")


@given(keys=KEYS, prefix=SHORT, delimiter=st.sampled_from(["", "/", "-"]), limit=st.integers(1, 4))
def test_pages_put_together_are_the_plain_listing(keys, prefix, delimiter, limit):
    entries, after = [], ""
    while True:
        page = list_page(keys, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        entries += [*page.keys, *page.common_prefixes]
        if not page.truncated:
            break
        after = entry_of(token_of(page.last))
    expected = [name for name, _ in plain_entries(keys, prefix, delimiter, "")]
    assert sorted(entries, key=str.encode) == expected
    assert len(entries) == len(expected)


def test_a_page_of_no_entries_is_not_truncated():
    page = list_page(["a", "b"], prefix="", delimiter="", after="", limit=0)
    assert (page.keys, page.truncated) == ((), False)


def test_the_order_is_that_of_utf8_bytes_and_not_of_utf16():
    # U+FF5E sorts after U+1F9EA in UTF-16 and before it in UTF-8
    keys = sorted(["\U0001f9ea", "\uff5e"])
    assert keys == sorted(keys, key=str.encode)
    assert list_page(keys, prefix="", delimiter="", after="\uff5e", limit=9).keys == ("\U0001f9ea",)


@given(st.text(min_size=1).filter(lambda text: text.isascii() or text.encode("utf-8", "ignore").decode() == text))
def test_a_token_leads_back_to_its_entry(entry):
    assert entry_of(token_of(entry)) == entry


@pytest.mark.parametrize("token", ["", "zzz", "!", "_w==", "é", "YQ==YQ=="])
def test_a_token_of_others_is_refused(token):
    with pytest.raises(S3Error, match="InvalidArgument: The continuation token provided is incorrect"):
        entry_of(token)


def test_a_query_without_parameters_lists_all_in_pages_of_a_thousand():
    query = ListQuery.parse({"list-type": "2"})
    assert query == ListQuery("", "", 1000, None, None, False)


@pytest.mark.parametrize(("asked", "taken"), [("0", 0), ("7", 7), ("1000", 1000), ("1001", 1000), ("2147483647", 1000)])
def test_a_page_has_at_most_a_thousand_entries(asked, taken):
    assert ListQuery.parse({"list-type": "2", "max-keys": asked}).max_keys == taken


@pytest.mark.parametrize("asked", ["-1", "x", "", "1.5", "2147483648", "٣", "9" * 5000])
def test_a_bad_length_of_page_is_refused(asked):
    with pytest.raises(S3Error, match="InvalidArgument: max-keys must be an integer between 0 and 2147483647"):
        ListQuery.parse({"list-type": "2", "max-keys": asked})


@pytest.mark.parametrize("parameters", [{}, {"list-type": "1"}, {"list-type": "2", "versions": ""}, {"acl": ""}])
def test_what_is_no_listing_of_version_2_is_refused(parameters):
    with pytest.raises(S3Error, match="NotImplemented"):
        ListQuery.parse(parameters)


def test_a_token_is_stronger_than_a_start():
    query = ListQuery.parse({"list-type": "2", "start-after": "x", "continuation-token": token_of("a")})
    assert query.page(["a", "b", "y"]).keys == ("b", "y")
