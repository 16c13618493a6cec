"""A classifier as a model of MLflow that is loaded without pickle.

    pip install mlflow-skinny
    python examples/serving/app.py train clicks.safetensors
    python examples/serving/mlflow_model.py clicks.safetensors clicks-mlflow

    import mlflow
    mlflow.pyfunc.load_model("clicks-mlflow").predict(rows)

MLflow keeps this file ("models from code") beside the file of the classifier, and runs it to load
the model; neither is unpickled.  Whoever loads the model has to trust this file, as any code.
"""

# %%
import sys

import mlflow
from mlflow.pyfunc import PythonModel

import sk_dynint


class Clicks(PythonModel):
    """Probabilities of the second class."""

    def load_context(self, context):
        """Read the classifier."""
        self.classifier = sk_dynint.load(context.artifacts["classifier"])

    def predict(self, context, model_input, params=None):
        """Return the probabilities of a frame."""
        return self.classifier.predict_proba(model_input)[:, 1]


if __name__ == "__main__":
    source, target = sys.argv[1:]
    mlflow.pyfunc.save_model(target, python_model=__file__, artifacts={"classifier": source})
else:
    mlflow.models.set_model(Clicks())
