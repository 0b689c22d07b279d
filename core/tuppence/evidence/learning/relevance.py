"""How much each group of features has to say: shape, words, task, meaning, answers. Asked of the labels alone, so that
no threshold, penalty or choice of features has to be tuned by hand, and nothing is looked up in data held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    # The constant takes up a mean that the sample has missed.
    return _likeliest(_Observed(kernels, _standardised(targets), constant=1.0))


def relevances_of_few(groups: Sequence[FloatArray], targets: FloatArray) -> FloatArray:
    """Do as `relevances` does, faster, for features that are few beside the questions and have a mean of 0.

    `groups` are (questions, features) each. To rotate the questions changes no likelihood: they are rotated so that
    all but a few have no features left, and tell of the noise alone.
    """
    scaled = _standardised(targets)
    rotation = np.linalg.qr(np.hstack(groups))[0]
    rotated, told = [rotation.T @ group for group in groups], rotation.T @ scaled
    # One direction is the mean's, of which nothing is left.
    spare = max(0, len(scaled) - 1 - len(told))
    rest = float((scaled**2).sum() - (told**2).sum())
    return _likeliest(_Observed([one @ one.T for one in rotated], told, spare=spare, spare_squares=rest))


@dataclass(frozen=True, slots=True, eq=False)
class _Observed:
    """What was observed, (observations, several), and their inner products by each group of features."""

    kernels: Sequence[FloatArray]
    targets: FloatArray
    constant: float = 0.0
    """A variance that all observations share."""
    spare: int = 0
    """Further observations without features,"""
    spare_squares: float = 0.0
    """and the sum of their squares."""


def _standardised(targets: FloatArray) -> FloatArray:
    spread = targets.std(axis=0)
    varied = targets[:, spread > 0]
    return np.asarray((varied - varied.mean(axis=0)) / spread[spread > 0])


def _likeliest(observed: _Observed) -> FloatArray:
    groups = len(observed.kernels)
    if not observed.targets.size:
        return np.full(groups, np.exp(_BOUNDS[0]))
    found = minimize(
        _less_likely, np.array([_USUAL] * groups + [0.0]), args=(observed,), jac=True, method="L-BFGS-B",
        bounds=[_BOUNDS] * groups + [_NOISE_BOUNDS], options={"maxiter": _STEPS},
    )  # fmt: skip
    return np.asarray(np.exp(found.x[:-1]))


def _less_likely(logs: FloatArray, observed: _Observed) -> tuple[float, FloatArray]:
    """Return the negative log evidence with its gradient, the prior on the logarithms included."""
    targets, kernels = observed.targets, observed.kernels
    count, several = targets.shape
    shares, noise = np.exp(logs[:-1]), float(np.exp(logs[-1]))
    covariance = observed.constant + noise * np.eye(count)
    for share, kernel in zip(shares, kernels, strict=True):
        covariance += share * kernel
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(count))
    solved = inverse @ targets
    value = 0.5 * float((targets * solved).sum()) + several * float(np.log(np.diag(factor[0])).sum())
    spare, left = several * observed.spare, observed.spare_squares / noise
    value += 0.5 * (spare * float(logs[-1]) + left)
    # d/dK of the above, half of it: several K^-1 - (K^-1 y)(K^-1 y)'.
    slope = several * inverse - solved @ solved.T
    gradient = [0.5 * share * float((slope * kernel).sum()) for share, kernel in zip(shares, kernels, strict=True)]
    gradient.append(0.5 * (noise * float(np.trace(slope)) + spare - left))
    away = logs[:-1] - _USUAL
    value += float((away**2).sum()) / (2 * _GIVE_OR_TAKE**2)
    return value, np.asarray(gradient) + np.append(away, 0.0) / _GIVE_OR_TAKE**2
