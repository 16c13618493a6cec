"""Training: encoded data, the schedule, and the skorch net that goes through it."""

from sk_dynint.engine import Batch
from sk_dynint.training._callbacks import SklearnCallbacks, check_callbacks, parameter_names
from sk_dynint.training._checkpoint import Checkpoint, to_arrays, to_tensors
from sk_dynint.training._data import EncodedData, MemberData, Own
from sk_dynint.training._net import CTRNet
from sk_dynint.training._order import WINDOW_BYTES
from sk_dynint.training._progress import MANY_ROWS, stage
from sk_dynint.training._run import Run
from sk_dynint.training._schedule import (
    FULL_BATCH_MAX_ROWS,
    Batches,
    Schedule,
    auto_batch_size,
    number_of_members,
)

__all__ = [
    "FULL_BATCH_MAX_ROWS",
    "MANY_ROWS",
    "WINDOW_BYTES",
    "Batch",
    "Batches",
    "CTRNet",
    "Checkpoint",
    "EncodedData",
    "MemberData",
    "Own",
    "Run",
    "Schedule",
    "SklearnCallbacks",
    "auto_batch_size",
    "check_callbacks",
    "number_of_members",
    "parameter_names",
    "stage",
    "to_arrays",
    "to_tensors",
]
