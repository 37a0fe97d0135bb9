"""How work is spread over threads and machines; knows no images."""
