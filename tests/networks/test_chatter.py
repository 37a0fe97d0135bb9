import os

from imgcluster.networks.chatter import without_chatter


def test_log_lines_are_held_back_and_all_else_goes_through(capfd):
    with without_chatter():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\n")
        os.write(2, b"I0000 00:00:1795595294.329688    9104 port.cc:153] oneDNN is on\nnote: a file\n")
        os.write(2, b"E0000 00:00:1795595294.329688    9104 x.cc:1] trouble\nhalf a li")
        os.write(2, b"ne\n")
    os.write(2, b"afterwards\n")
    _, err = capfd.readouterr()
    assert err.splitlines() == [
        "note: a file",
        "E0000 00:00:1795595294.329688    9104 x.cc:1] trouble",
        "half a line",
        "afterwards",
    ]
