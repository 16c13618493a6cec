"""One ONNX file of encoder and network."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from sk_dynint._files import replacing
from sk_dynint._module import CTRModule, Ensemble
from sk_dynint._process import no_fork
from sk_dynint._version import __version__
from sk_dynint._warnings import warnings_ignored
from sk_dynint.export._network import Predictor, TableDtype
from sk_dynint.preprocessing import PREFIX, EncoderGraph, FieldEncoder, unfrozen

MAX_BYTES = 2**31 - 2**24
"""What a file of ONNX can hold, and some room for all that is no table."""

ML_VERSION = 2
"""Version of the operators of ai.onnx.ml: that of the first LabelEncoder with numbers as values."""


def write_onnx(
    path: str | os.PathLike[str],
    module: CTRModule | Ensemble,
    encoder: Any,
    classes: np.ndarray[Any, Any],
    *,
    shift: float,
    raw_inputs: bool,
    table_dtype: TableDtype,
) -> None:
    """Write a classifier; see ``DynIntClassifier.to_onnx``.

    Parameters
    ----------
    path : path
        Where to write it.
    module : CTRModule or Ensemble
        The network.
    encoder : FieldEncoder
        What encodes; any other one with `cardinalities_` will do without raw inputs.
    classes : ndarray of shape (n_classes,)
        The labels.
    shift : float
        Added to the logits.
    raw_inputs, table_dtype
        See there.
    """
    import onnx
    from onnx import TensorProto, helper

    front = graph_of(encoder) if raw_inputs else None
    predictor = Predictor(module, shift, table_dtype)
    _check_size(predictor, front)
    n_columns = len(getattr(encoder, "slots_", encoder.cardinalities_))
    model = _network(predictor, n_columns)
    graph = model.graph
    make = helper.make_tensor_value_info
    if front is None:
        inputs = [make("indices", TensorProto.INT64, ["N", n_columns])]
        nodes = [helper.make_node("Identity", ["indices"], [f"{PREFIX}indices"])]
    else:
        inputs, nodes = front.inputs, front.nodes
        graph.initializer.extend(front.constants)
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_VERSION))
    nodes = [*nodes, *graph.node]
    del graph.input[:], graph.node[:]
    graph.input.extend(inputs)
    graph.node.extend(nodes)
    labels, kind = _labels(classes, TensorProto)
    table = f"{PREFIX}classes"
    graph.initializer.append(helper.make_tensor(table, kind, [len(classes)], labels))
    position, proba = (value.name for value in graph.output)
    graph.node.append(helper.make_node("Gather", [table, position], ["label"]))
    graph.node.append(helper.make_node("Identity", [proba], ["probabilities"]))
    del graph.output[:]
    graph.output.append(make("label", kind, ["N"]))
    graph.output.append(make("probabilities", TensorProto.FLOAT, ["N", len(classes)]))
    model.producer_name, model.producer_version = "sk_dynint", __version__
    columns = [value.name for value in graph.input]
    if front is None and hasattr(encoder, "get_feature_names_out"):
        columns = list(encoder.get_feature_names_out())
    about = {"classes": classes.tolist(), "columns": columns}
    texts = {name: json.dumps(values, default=str) for name, values in about.items()}
    versions = {"sk_dynint_version": __version__, "table_dtype": table_dtype}
    helper.set_model_props(model, texts | versions)
    onnx.checker.check_model(model)
    with replacing(path) as name:
        onnx.save(model, name)


def _check_size(predictor: Predictor, front: Any) -> None:
    """Refuse what does not fit in a file, before it is made."""
    size = sum(buffer.nbytes for buffer in predictor.buffers())
    if front is not None:
        size += sum(part.ByteSize() for part in (*front.nodes, *front.constants))
    if size > MAX_BYTES:
        raise ValueError(
            f"tables and levels take {size / 2**30:.1f} GiB, and an ONNX file holds 2; take "
            "table_dtype='float16' or 'int8', or raise min_count"
        )


def graph_of(encoder: Any) -> Any:
    """Return the nodes of an encoder, or say why there are none."""
    encoder = unfrozen(encoder)
    if not isinstance(encoder, FieldEncoder):
        raise ValueError(
            f"encoder_ is a {type(encoder).__name__}, which has no ONNX graph; use raw_inputs=False"
        )
    return EncoderGraph(encoder)


def _network(predictor: Predictor, n_columns: int) -> Any:
    """Return the network as a model of ONNX, all names in it with a prefix.

    Parameters
    ----------
    predictor : Predictor
        The network.
    n_columns : int
        Number of columns of indices, its input.
    """
    from onnx import compose

    example = torch.zeros(2, n_columns, dtype=torch.int64)
    with _quiet(), no_fork(), torch.no_grad():
        program = torch.onnx.export(
            predictor,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=["indices"],
            output_names=["position", "probabilities"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")  # where in which file of Python it comes from
    return compose.add_prefix(model, PREFIX)


@contextmanager
def _quiet() -> Iterator[None]:
    """Context in which the exporter neither warns of its own parts nor logs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        # torch.export warns of torch's own use of it.
        with warnings_ignored(r"`isinstance\(treespec, LeafSpec\)` is deprecated"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _labels(classes: np.ndarray[Any, Any], types: Any) -> tuple[list[Any], int]:
    """Return the labels as ONNX holds them, and their type; positions where it holds none such."""
    kind = classes.dtype.kind
    if kind in "iu":
        return classes.astype(np.int64).tolist(), types.INT64
    if kind == "b":
        return classes.tolist(), types.BOOL
    if kind == "f":
        return classes.astype(np.float64).tolist(), types.DOUBLE
    if all(isinstance(label, str) for label in classes):
        return [str(label) for label in classes], types.STRING
    return list(range(len(classes))), types.INT64
