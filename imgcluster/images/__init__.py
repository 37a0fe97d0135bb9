"""Files to pixels and pixels to files; OpenCV and Pillow live here."""
