"""Defaults that the command line shows, to be had without loading what they are for."""

NEAR_DUPLICATE = 0.9
"""A cosine. Of copies of 400-pixel photographs at half the size and quality 70 it finds 20 of 30 and 72 of 84
(17 of the 84 at 0.95); of pairs of different photographs of one kind of scene, one in ten thousand."""
