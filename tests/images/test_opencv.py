"""OpenCV is quiet, single-threaded, and its absence is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imgcluster
from imgcluster.images.opencv import cv2


def test_files_are_never_opened_by_opencv_itself():
    # On some systems it cannot open names that are not ASCII, and gives nothing without a word.
    package = Path(imgcluster.__file__).parent
    sources = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    assert "imread(" not in sources
    assert "imwrite(" not in sources


def test_opencv_uses_no_threads_of_its_own():
    assert cv2.getNumThreads() == 1


def test_missing_graphics_libraries_are_explained_in_one_line():
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

sys.meta_path.insert(0, Missing())
from imgcluster.errors import ImgclusterError
try:
    import imgcluster.images.decode
except ImgclusterError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert "libGL.so.1" in line
    assert "pip install" in line
    assert "opencv-python-headless" in line


def test_scanning_and_hashing_load_neither_opencv_nor_pillow():
    program = """
import sys
import imgcluster.images.find, imgcluster.images.file_bytes
print([name for name in ("cv2", "PIL") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
