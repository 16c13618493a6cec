"""The competitors of the paper's Table 1, newer ones, their register, and hybrids."""

from sk_dynint._body import Body
from sk_dynint.baselines._autoint import AutoInt
from sk_dynint.baselines._dcn import DeepAndCross
from sk_dynint.baselines._dcnv2 import DeepAndCrossV2
from sk_dynint.baselines._deepcrossing import DeepCrossing
from sk_dynint.baselines._deepfm import DeepFM
from sk_dynint.baselines._dnn import DNN, Dense, DNNBody
from sk_dynint.baselines._ecn import ExponentialCrossNetwork
from sk_dynint.baselines._fcn import FusingCrossNetwork
from sk_dynint.baselines._fibinet import FiBiNET
from sk_dynint.baselines._fm import FactorizationMachine
from sk_dynint.baselines._hybrid import Fusion, Hybrid
from sk_dynint.baselines._lr import LogisticRegressionBody
from sk_dynint.baselines._pnn import ProductNetwork
from sk_dynint.baselines._qnn import QuadraticNetwork
from sk_dynint.baselines._widedeep import WideAndDeep
from sk_dynint.baselines._xdeepfm import XDeepFM

BASELINES: dict[str, type[Body]] = {
    "lr": LogisticRegressionBody,
    "fm": FactorizationMachine,
    "dnn": DNNBody,
    "widedeep": WideAndDeep,
    "deepcrossing": DeepCrossing,
    "dcn": DeepAndCross,
    "dcnv2": DeepAndCrossV2,
    "pnn": ProductNetwork,
    "deepfm": DeepFM,
    "xdeepfm": XDeepFM,
    "autoint": AutoInt,
    "fibinet": FiBiNET,
    "ecn": ExponentialCrossNetwork,
    "fcn": FusingCrossNetwork,
    "qnn": QuadraticNetwork,
}
"""Name of a competitor -> its body."""

__all__ = [
    "BASELINES",
    "DNN",
    "AutoInt",
    "Body",
    "DNNBody",
    "DeepAndCross",
    "DeepAndCrossV2",
    "DeepCrossing",
    "DeepFM",
    "Dense",
    "ExponentialCrossNetwork",
    "FactorizationMachine",
    "FiBiNET",
    "FusingCrossNetwork",
    "Fusion",
    "Hybrid",
    "LogisticRegressionBody",
    "ProductNetwork",
    "QuadraticNetwork",
    "WideAndDeep",
    "XDeepFM",
]
