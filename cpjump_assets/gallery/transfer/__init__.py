"""Bringing objects over: requests for bytes, their proof, resuming, many at once, and the record of what is held.

Belongs here: everything from a listed object to a verified file with a row in the inventory. Does not belong here:
which objects there are (``gallery.listing``), what a key means (``gallery.layout``), what the bytes mean.
"""
