"""Files to pixels and pixels to files; OpenCV and Pillow live here."""

PREPROCESSING_VERSION = 1
"""Part of every feature space: raised whenever the pixels that a network sees change their meaning."""
