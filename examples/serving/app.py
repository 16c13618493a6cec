"""A web service: probabilities of rows, one by one or in batches, by a saved classifier.

    pip install "sk-dynint[serving]"
    python examples/serving/app.py train clicks.safetensors      # or a model of your own
    SK_DYNINT_MODEL=clicks.safetensors uvicorn --app-dir examples/serving app:app

    curl -s localhost:8000/columns
    curl -s localhost:8000/predict -H 'content-type: application/json' \
        -d '{"row": {"carrier": "UA", "origin": "EWR", ...}}'

The model file holds no code (``sk_dynint.load``).  A row is an object of all columns by their
names; null is a missing value.  Levels that training did not see are welcome; keys that are no
columns, columns that are not there, and values of another kind are answered with 422 and a message
that says which.  docs/reliability.md has the latencies.
"""

# %%
import os
import sys
from contextlib import asynccontextmanager
from typing import Annotated

import torch
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

import sk_dynint
from sk_dynint.datasets import load_flights

MAX_ROWS = 10_000
Cell = str | bool | int | float | None
Row = dict[str, Cell]


class OneRow(BaseModel):
    """What /predict takes."""

    model_config = ConfigDict(extra="forbid")
    row: Row


class ManyRows(BaseModel):
    """What /predict_batch takes."""

    model_config = ConfigDict(extra="forbid")
    rows: Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]


# %% The service.  A single row takes less time than handing it to another thread; a batch does not.
def make_app(path):
    """Return the service of a model file."""

    @asynccontextmanager
    async def lifespan(app):
        torch.set_num_threads(1)  # workers share the cores
        app.state.model = model = sk_dynint.load(path)
        model.predict_proba(dict.fromkeys(model.feature_names_in_))  # whatever is compiled, is now
        yield

    app = FastAPI(title="sk_dynint", lifespan=lifespan)

    def probabilities(rows):
        try:
            return app.state.model.predict_proba(rows)[:, 1].tolist()
        except (TypeError, ValueError) as error:
            raise HTTPException(422, str(error)) from error

    @app.post("/predict")
    async def predict(given: OneRow) -> dict[str, float]:
        return {"probability": probabilities([given.row])[0]}

    @app.post("/predict_batch")
    def predict_batch(given: ManyRows) -> dict[str, list[float]]:
        return {"probabilities": probabilities(given.rows)}

    @app.get("/columns")
    def columns() -> dict[str, str]:
        model = app.state.model
        names, kinds = model.feature_names_in_, model.encoder_.value_kinds_
        return dict(zip(names, kinds, strict=True))

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "sk_dynint": sk_dynint.__version__}

    return app


# %% A model to try it with: late flights, from what the package ships.
def train(path):
    """Write a model."""
    flights = load_flights()
    rows = flights.date.sample(20_000, random_state=0).index
    model = sk_dynint.DynIntClassifier(n_members=1, random_state=0)
    model.fit(flights.data.loc[rows].drop(columns="month"), flights.target[rows]).save(path)


if __name__ == "__main__" and sys.argv[1:2] == ["train"]:
    train(sys.argv[2])

if path := os.environ.get("SK_DYNINT_MODEL"):
    app = make_app(path)
