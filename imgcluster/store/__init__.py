"""Embeddings on disk; h5py lives here."""
