"""scikit-learn's own checks."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_dynint.preprocessing import FieldEncoder


@parametrize_with_checks([FieldEncoder()])
def test_scikit_learn_check(estimator, check):
    check(estimator)
