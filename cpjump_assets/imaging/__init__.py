"""Images: files and arrays of pixels in, arrays and measures out.

Belongs here: opening a TIFF and telling whether it is an image, measures of one image, channels laid over each other.
Does not belong here: where images come from (``gallery.images``), figures with text and axes (``figures``).
"""
