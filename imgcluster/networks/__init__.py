"""Pixels to embeddings; TensorFlow, Keras and OpenVINO live here."""
