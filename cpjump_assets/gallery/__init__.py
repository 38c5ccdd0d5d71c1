"""Everything that reads the public gallery and the reference root, over S3, https or from a folder.

Belongs here: the gallery's key layout, listing, verified pulls and the record of them, the formats of the files that
come from outside. Does not belong here: what the numbers in them mean (``science``), the tables that we write
(``storage``), when something is pulled (``orchestration``). Never more than reading: nothing here writes to a bucket.
"""
