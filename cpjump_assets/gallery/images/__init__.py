"""Images in the gallery: measurement folders, file names, image sets, and the index that says which image is where.

Belongs here: what listings and ``load_data`` files say of images. Does not belong here: pixels (``imaging``), which
images are worth pulling (``science.image_selection``).
"""
