"""Small tables of numbers, where this package is not the tool: who wins there?

    python examples/benchmarks/bench_numeric.py --seeds 5

Tables that scikit-learn ships or makes; half of the rows to train on, half to test.  All models
have default parameters; logistic regression and the support vector machine see standardised
columns.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_wine, make_friedman1, make_hastie_10_2
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sk_dynint import DynIntClassifier


def friedman(n):
    """Friedman's first function of five numbers and five that say nothing, above its median."""
    X, y = make_friedman1(n, noise=1.0, random_state=0)
    return X, y > np.median(y)


TABLES = {
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "Hastie 10.2": lambda: make_hastie_10_2(2_000, random_state=0),
    "Friedman 1": lambda: friedman(2_000),
}
MODELS = {
    "dynint": lambda seed: DynIntClassifier(random_state=seed),
    "HGB": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "random forest": lambda seed: RandomForestClassifier(random_state=seed),
    "LR": lambda seed: make_pipeline(StandardScaler(), LogisticRegression()),
    "SVM (AUC only)": lambda seed: make_pipeline(StandardScaler(), SVC(random_state=seed)),
}


def scores(model, X, y):
    """Return AUC and logloss on test rows; the mean over classes, each against all others."""
    if not hasattr(model, "predict_proba"):
        decisions = model.decision_function(X)
        if decisions.ndim == 1:
            return roc_auc_score(y, decisions), np.nan
        classes = range(decisions.shape[1])
        return np.mean([roc_auc_score(y == c, decisions[:, c]) for c in classes]), np.nan
    p = model.predict_proba(X)
    auc = roc_auc_score(y, p if p.shape[1] > 2 else p[:, 1], multi_class="ovr")
    return auc, log_loss(y, p, labels=model.classes_)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    rows = []
    for table, make in TABLES.items():
        X, y = make()
        for seed in range(args.seeds):
            parts = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
            for name, model in MODELS.items():
                start = time.perf_counter()
                fitted = model(seed).fit(parts[0], parts[2])
                seconds = time.perf_counter() - start
                rows.append(
                    (table, len(X) // 2, name, *scores(fitted, parts[1], parts[3]), seconds)
                )
    columns = ["table", "rows", "model", "auc", "logloss", "seconds"]
    runs = pd.DataFrame(rows, columns=columns)
    means = runs.groupby(["table", "rows", "model"], sort=False)
    print(
        means.agg(
            auc=("auc", "mean"),
            sd=("auc", "std"),
            logloss=("logloss", "mean"),
            seconds=("seconds", "median"),
        )
        .round(4)
        .to_string()
    )


if __name__ == "__main__":
    main()
