"""Pixels to embeddings; TensorFlow, Keras and OpenVINO live here."""

POOLINGS = ("avg", "max", "flatten")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
RUNTIMES = ("auto", "tensorflow", "openvino")
