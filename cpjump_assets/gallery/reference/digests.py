"""sha256 sums of reference files at public commits, so far as they are known.

Belongs here: the table, and how an address tells its commit. Does not belong here: comparing (``reference``). Files
that a commit holds but that are not listed here are taken as they come.
"""

from collections.abc import Mapping

_OFFICIAL_SPLITS = {
    "datasplits/cpjump1_metadata.csv": "69bfe6d5c29bd9a10d49f81b2dc117900da2b7999df5640c379332c0545b251e",
}
_BARCODES_OF_TIME_DELAYS = "f40cec491da82d19dee8dc7b1acfad3b6fc79035b4fc199554c33a197b41829d"
_COMPOUND_MAP = "b22a82080fe75a761810040e5ed7f31e05a8d440c7f678030f8038e3b6932051"
_CRISPR_MAP = "2398f612182d0162fec9df7ef6050bbb1083da7a95a93f4379558c7d1464e36f"
_ORF_MAP = "1d261ab5afced8970cac76941d77ebf79ad6f596c6555151976041633d62b736"
_MAIN = "metadata/platemaps/2020_11_04_CPJUMP1"
_BLEACHING = "metadata/platemaps/2020_12_08_CPJUMP1_Bleaching"
_TIME_DELAYS = (
    "metadata/platemaps/2020_11_18_CPJUMP1_TimepointDay1",
    "metadata/platemaps/2020_11_19_TimepointDay4",
    "metadata/platemaps/2020_12_02_CPJUMP1_2WeeksTimePoint",
    "metadata/platemaps/2020_12_07_CPJUMP1_4WeeksTimePoint",
)
_PLATE_MAPS = {
    f"{_MAIN}/barcode_platemap.csv": "0dec37cbc9873c456d535ed53e2dd2423a15143f0204f44f7e8c44d71ca0f74c",
    f"{_MAIN}/platemap/JUMP-Target-1_compound_platemap.txt": _COMPOUND_MAP,
    f"{_MAIN}/platemap/JUMP-Target-1_crispr_platemap.txt": _CRISPR_MAP,
    f"{_MAIN}/platemap/JUMP-Target-1_orf_platemap.txt": _ORF_MAP,
    f"{_BLEACHING}/barcode_platemap.csv": "9e32584840fe7ddfc119b5748d32fd5c60c9c78d5aaab80ff417a831a1555cba",
    f"{_BLEACHING}/platemap/JUMP-Target-1_compound_platemap.txt": _COMPOUND_MAP,
    **{f"{folder}/barcode_platemap.csv": _BARCODES_OF_TIME_DELAYS for folder in _TIME_DELAYS},
    **{f"{folder}/platemap/JUMP-Target-1_orf_platemap.txt": _ORF_MAP for folder in _TIME_DELAYS},
}
_ANNOTATIONS_OF_2021 = {
    f"metadata/moa/JUMP-Target-1_{name}.tsv": sha256
    for name, sha256 in {
        "compound_metadata": "6f5074fc6d29e07f9fca43fffab01d45dd37d41d42a59354439f264b2e6a105f",
        "compound_metadata_targets": "27ee1004447ec31b85e1cdce1fe28d44652a10635280e180434d66db371a11f0",
        "crispr_metadata": "2f5d32ec29af66e8f671db692e133358de767e9201b5e087cd05a22af391091d",
        "orf_metadata": "b58f1569c2a71beb44ded71a1128f5caa519b2bdebe70c9d43bcac2c8f5c2d4b",
    }.items()
}

KNOWN_SHA256: Mapping[str, Mapping[str, str]] = {
    "4ad23669a9e7083a8920b4385d0647958b057318": _OFFICIAL_SPLITS | _PLATE_MAPS | _ANNOTATIONS_OF_2021,
    # The official split table came with this commit, and is the same in every later version that was seen.
    "b41438a6ad0cdc80b8518e05bc9ce42dc6005b83": _OFFICIAL_SPLITS,
    "1b9544738ddb98d8da1916c18067da52ac8c2ed7": _OFFICIAL_SPLITS,
    "7b6e8a299bb46ad4bc08043b4429fc1a71344fd0": _OFFICIAL_SPLITS,
}
"""By commit of the paper's public repository: the sums of its files, by path."""


def known_digests(url: str) -> Mapping[str, str]:
    """Give the known sums, by path, for a root whose address ends in a commit; none for any other root."""
    return KNOWN_SHA256.get(url.rstrip("/").rpartition("/")[2], {})
