"""Training: encoded data, the schedule, and the skorch net that goes through it."""

from sk_dynint.engine import Batch
from sk_dynint.training._callbacks import SklearnCallbacks, history_frame
from sk_dynint.training._data import EncodedData
from sk_dynint.training._net import CTRNet, check_callbacks
from sk_dynint.training._schedule import Batches, Schedule

__all__ = [
    "Batch",
    "Batches",
    "CTRNet",
    "EncodedData",
    "Schedule",
    "SklearnCallbacks",
    "check_callbacks",
    "history_frame",
]
