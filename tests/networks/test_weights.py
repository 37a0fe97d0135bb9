import hashlib
import http.server
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from imgcluster.errors import ImgclusterError, MissingExtra
from imgcluster.networks import download
from imgcluster.networks.catalog import PackagedWeights, PublishedWeights, find_network
from imgcluster.networks.weights import NOWHERE, NetworkPlaces, availability, locate

CONTENT = b"arrays" * 1000
SOON = 25
"""Three steps of two seconds, and patience with a slow machine; servers that hang do so for longer."""


@pytest.fixture
def places(tmp_path):
    return NetworkPlaces(keras_home=str(tmp_path / "keras"), seconds=2)


@pytest.fixture
def server(tmp_path):
    """The address of a web server on this machine that has one file."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "weights.h5").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "web"))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def published_at(base, content=CONTENT):
    md5 = hashlib.md5(content).hexdigest()
    return replace(find_network("vgg16"), weights=PublishedWeights(f"{base}/weights.h5", md5))


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_published_weights_are_fetched_once_and_then_come_from_the_cache(places, server):
    network = published_at(server)
    said = []
    assert availability(network, places) == "download"
    found = locate(network, places=places, notify=said.append)
    assert Path(found.path).read_bytes() == CONTENT
    assert found.path == places.published_file(network.weights)
    assert found.digest == hashlib.sha256(CONTENT).hexdigest()
    assert availability(network, places) == "here"
    assert locate(network, places=places, notify=said.append) == found
    assert len(said) == 1


def test_a_long_download_tells_how_much_has_come(places, server, monkeypatch):
    monkeypatch.setattr(download, "_TELL_SECONDS", 0)
    said = []
    locate(published_at(server), places=places, notify=said.append)
    assert set(said[1:]) == {"fetched 0 MB of 0"}


def test_without_a_folder_published_weights_are_neither_looked_for_nor_fetched(server):
    network = published_at(server)
    with pytest.raises(ImgclusterError, match=r"no folder is known to keep weights.h5 in: .*--weights"):
        locate(network, places=NOWHERE)


def test_the_origin_finds_the_weights_again(places, server, tmp_path):
    network = published_at(server)
    for choice in ("imagenet", "random", str(tmp_path / "web" / "weights.h5")):
        found = locate(network, choice, places=places)
        assert locate(network, found.origin, places=places) == found


def test_a_download_with_another_checksum_is_not_kept(places, server):
    with pytest.raises(ImgclusterError, match="another checksum"):
        locate(published_at(server, b"something else"), places=places)
    assert list(Path(places.keras_home, "models").iterdir()) == []


def test_a_cached_file_with_another_checksum_is_not_used_silently(places):
    network = published_at(f"http://127.0.0.1:{closed_port()}")
    path = Path(places.published_file(network.weights))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(ImgclusterError, match=f"its MD5 differs.*--weights {path}"):
        locate(network, places=places)
    assert path.read_bytes() == b"half of it"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "no-such-host.invalid"])
def test_without_a_server_one_line_says_what_to_do(places, host):
    network = published_at(f"http://{host.format(port=closed_port())}")
    started = time.monotonic()
    with pytest.raises(ImgclusterError) as caught:
        locate(network, places=places)
    assert time.monotonic() - started < SOON
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "weights.h5",
        network.weights.url,
        places.published_file(network.weights),
        "--weights FILE",
        "--network efficientnet_lite2",
    ):
        assert part in message


def test_a_server_that_never_answers_is_given_up(places):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(ImgclusterError, match="no answer within 2 seconds"):
            locate(published_at(f"http://127.0.0.1:{silent.getsockname()[1]}"), places=places)
        assert time.monotonic() - started < SOON


@contextmanager
def sending(*pieces, pause=0.0, after=0.0):
    """The address of a server that answers with these pieces, waits, and ends the connection."""
    done = threading.Event()

    def serve():
        with listener.accept()[0] as connection:
            connection.recv(1 << 16)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            done.wait(after)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "after", "reason"),
    [
        ((HEAD, CONTENT[:1000]), 0, "the connection ended before all had come"),
        ((HEAD,), 0, "the connection ended before all had come"),
        ((HEAD, CONTENT[:1000]), 30, "no answer within 2 seconds"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1770\r\n", CONTENT[:1000]),
            0,
            "the connection ended before all had come",
        ),
        ((HEAD[:20],), 30, "no answer within 2 seconds"),
        ((b"no HTTP\r\n\r\n",), 0, "no HTTP"),
        ((), 0, "Remote end closed connection without response"),
    ],
)
def test_a_download_that_stalls_or_ends_early_leaves_nothing(places, pieces, after, reason):
    started = time.monotonic()
    with (
        sending(*pieces, after=after) as base,
        pytest.raises(ImgclusterError, match=re.escape(f"({reason})")),
    ):
        locate(published_at(base), places=places)
    assert time.monotonic() - started < SOON
    models = Path(places.keras_home, "models")
    assert not models.exists() or list(models.iterdir()) == []


def test_a_download_may_take_long_as_long_as_more_of_it_comes(places, monkeypatch):
    monkeypatch.setattr(download, "_TELL_SECONDS", 0.2)
    said = []
    parts = [CONTENT[start : start + 1000] for start in range(0, len(CONTENT), 1000)]
    with sending(HEAD, *parts, pause=0.5) as base:  # longer in all than a piece may take
        found = locate(published_at(base), places=replace(places, seconds=2), notify=said.append)
    assert Path(found.path).read_bytes() == CONTENT
    assert len(said) > 3


def test_a_folder_that_takes_no_weights_is_named(places, server, tmp_path):
    (tmp_path / "keras").write_bytes(b"no folder")
    with pytest.raises(ImgclusterError, match=rf"\({tmp_path}/keras/models: .*--weights FILE"):
        locate(published_at(server), places=places)


def test_a_missing_file_on_the_server_is_named(places, server):
    network = replace(find_network("vgg16"), weights=PublishedWeights(f"{server}/absent.h5", ""))
    with pytest.raises(ImgclusterError, match=r"could not be fetched.*absent\.h5"):
        locate(network, places=places)


def test_packaged_weights_are_found_without_importing_the_package():
    network = find_network("efficientnet_lite0")
    found = locate(network)
    assert found.digest == network.weights.sha256
    assert availability(network, NOWHERE) == "here"


def test_a_missing_package_names_its_extra():
    network = replace(find_network("efficientnet_lite0"), weights=PackagedWeights("no_such_package", "f", ""))
    assert availability(network, NOWHERE) == "package"
    with pytest.raises(MissingExtra, match=r"\.\[offline\]"):
        locate(network)


def test_random_weights_say_so_and_have_a_digest_of_their_own():
    said = []
    found = locate(find_network("vgg16"), "random", notify=said.append)
    assert found.path is None
    assert "random" in said[0]
    assert found.digest != locate(find_network("vgg19"), "random").digest
    assert found == locate(find_network("vgg16"), "random")


def test_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.h5").write_bytes(CONTENT)
    found = locate(find_network("vgg16"), str(tmp_path / "mine.h5"))
    assert found.path == str(tmp_path / "mine.h5")
    assert found.digest == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ImgclusterError, match=f"no weights file {tmp_path}/mine.h5"):
        locate(find_network("vgg16"), str(tmp_path / "mine.h5"))


@pytest.mark.parametrize("name", ["model.keras", "model.pkl", "model.pth", "model.npz"])
def test_files_that_may_hold_more_than_arrays_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(CONTENT)
    with pytest.raises(ImgclusterError, match="only files that hold nothing but arrays"):
        locate(find_network("vgg16"), str(tmp_path / name))
