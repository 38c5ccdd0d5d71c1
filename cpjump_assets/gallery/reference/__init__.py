"""The reference root: the public repository with plate maps, annotations and the official split table.

Belongs here: reading its files over https, S3 or from a folder, their known sums, and the metadata tables that they
make. Does not belong here: the gallery of profiles and images (``gallery.transfer``), what a table means (``science``).
"""
