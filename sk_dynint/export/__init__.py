"""Fitted classifiers for other runtimes."""

from sk_dynint.export._network import TableDtype
from sk_dynint.export._onnx import write_onnx

__all__ = ["TableDtype", "write_onnx"]
