"""How much each group of features has to say: shape, words, task, meaning. Asked of the labels alone, so that no
threshold, penalty or choice of features has to be tuned by hand, and nothing is looked up in data held back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from tuppence.evidence.learning.labelled import FloatArray

# A group is taken to explain some 8% of what varies, give or take a factor of e squared: a question's text says little
# of who can answer it, on every data set that is known. 500 labels overrule this easily.
_USUAL, _GIVE_OR_TAKE = -2.5, 2.0
_BOUNDS = (-9.0, 3.0)
_NOISE_BOUNDS = (-3.0, 1.0)
_STEPS = 40


def relevances(kernels: Sequence[FloatArray], targets: FloatArray) -> FloatArray:
    """Return, for each group of features, the share of the targets' variance that it explains, at least e**-9.

    `kernels` hold the inner products of the questions by one group each, (questions, questions), about 1 on the
    diagonal; `targets` are (questions, several). Maximises the marginal likelihood of a linear model with one prior
    variance a group, the evidence of D. MacKay, "Bayesian Interpolation", Neural Computation 4 (1992) 415, with a wide
    prior on the logarithms. Targets that never vary are passed over.
    """
    spread = targets.std(axis=0)
    varied = targets[:, spread > 0]
    if not varied.size:
        return np.full(len(kernels), np.exp(_BOUNDS[0]))
    scaled = (varied - varied.mean(axis=0)) / spread[spread > 0]
    found = minimize(
        _less_likely, np.array([_USUAL] * len(kernels) + [0.0]), args=(kernels, scaled), jac=True, method="L-BFGS-B",
        bounds=[_BOUNDS] * len(kernels) + [_NOISE_BOUNDS], options={"maxiter": _STEPS},
    )  # fmt: skip
    return np.asarray(np.exp(found.x[:-1]))


def _less_likely(logs: FloatArray, kernels: Sequence[FloatArray], targets: FloatArray) -> tuple[float, FloatArray]:
    """Return the negative log evidence with its gradient, the prior on the logarithms included."""
    count, several = targets.shape
    shares, noise = np.exp(logs[:-1]), float(np.exp(logs[-1]))
    # The constant takes up a mean that the sample has missed.
    covariance = 1.0 + noise * np.eye(count)
    for share, kernel in zip(shares, kernels, strict=True):
        covariance += share * kernel
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(count))
    solved = inverse @ targets
    value = 0.5 * float((targets * solved).sum()) + several * float(np.log(np.diag(factor[0])).sum())
    # d/dK of the above, half of it: several K^-1 - (K^-1 y)(K^-1 y)'.
    slope = several * inverse - solved @ solved.T
    gradient = [0.5 * share * float((slope * kernel).sum()) for share, kernel in zip(shares, kernels, strict=True)]
    gradient.append(0.5 * noise * float(np.trace(slope)))
    away = logs[:-1] - _USUAL
    value += float((away**2).sum()) / (2 * _GIVE_OR_TAKE**2)
    return value, np.asarray(gradient) + np.append(away, 0.0) / _GIVE_OR_TAKE**2
