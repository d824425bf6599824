"""What is drawn before it is decoded: a mixture over latents, or one code after the other.

Conventions
    labels    a list of names, one a sound, or None. With labels both priors draw sounds of a given label.
    latent    (count, latents) float64; codes (count, tokens) int64.

A VAE trained to an end still has an aggregated posterior that is not its normal prior, and samples of the
prior decode to nothing in particular; a density fitted afterwards closes that gap (Ghosh et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.nn import functional as F

REGULARISATION = 1e-2  # added to the variances, in units of the latents


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians for each label: ``weights`` (labels, components), ``means`` (labels,
    components, latents), ``factors`` (labels, components, latents, latents), lower triangular."""

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row for each index of a label."""
        noise = rng.standard_normal((len(labels), self.means.shape[2]))
        which = [rng.choice(len(self.weights[label]), p=self.weights[label]) for label in labels]
        pairs = zip(labels, which, noise, strict=True)
        return np.stack([self.means[a, b] + self.factors[a, b] @ row for a, b, row in pairs])


def fit_mixture(latents: np.ndarray, labels: np.ndarray, *, components: int, seed: int) -> Mixture:
    """Fit Gaussian mixtures to the latents of each label.

    Parameters
    ----------
    latents : array, (count, latents)
        Draws of the posterior rather than its means: what is decoded later is a draw too.
    labels : array, (count,)
        Indices from 0.
    components : int
        At most: 20 rows are needed for each, and all labels have equally many.

    Raises
    ------
    ValueError
        For a label with fewer than two rows.
    """
    names = range(int(labels.max()) + 1)
    tables = [latents[labels == name] for name in names]
    if few := [name for name, rows in zip(names, tables, strict=True) if len(rows) < 2]:
        raise ValueError(f"label {few[0]} has fewer than 2 sounds; a spread cannot be learned from them")
    most = min(components, *(max(1, len(rows) // 20) for rows in tables))
    fitted = [
        GaussianMixture(most, reg_covar=REGULARISATION, random_state=seed).fit(rows.astype(np.float64))
        for rows in tables
    ]
    return Mixture(
        # Choice refuses weights whose sum is off by rounding.
        weights=np.stack([g.weights_ / g.weights_.sum() for g in fitted]),
        means=np.stack([g.means_ for g in fitted]),
        factors=np.stack([np.linalg.cholesky(g.covariances_) for g in fitted]),
    )


class CodePrior(nn.Module):
    """Codes one after the other: a recurrent network (GRU, Cho et al. 2014) that is told label and place."""

    def __init__(self, *, codes: int, tokens: int, labels: int, width: int = 128) -> None:
        super().__init__()
        self.tokens = tokens
        self.code = nn.Embedding(codes + 1, width)  # the last one stands before the first code
        self.label = nn.Embedding(labels, width)
        self.place = nn.Embedding(tokens, width)
        self.layers = nn.GRU(width, width, num_layers=2, batch_first=True)
        self.out = nn.Linear(width, codes)

    def forward(self, before: Tensor, labels: Tensor, *, place: int = 0, state: Tensor | None = None):
        """Logits of each next code, (count, n, codes), given the one before it, (count, n); and the state."""
        places = self.place(torch.arange(place, place + before.shape[1]))
        x, state = self.layers(self.code(before) + self.label(labels)[:, None] + places, state)
        return self.out(x), state

    def loss(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Nats a sound."""
        # Teacher forcing: each code is predicted from the true ones before it.
        before = torch.cat([self._first(len(codes)), codes[:, :-1]], dim=1)
        return self.tokens * F.cross_entropy(self(before, labels)[0].transpose(1, 2), codes)

    @torch.no_grad()
    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Codes of one sound a label, (count, tokens)."""
        codes, state = [self._first(len(labels))], None
        for place in range(self.tokens):
            logits, state = self(codes[-1], labels, place=place, state=state)
            codes.append(torch.multinomial(logits[:, -1].softmax(dim=1), 1, generator=generator))
        return torch.cat(codes[1:], dim=1)

    def _first(self, count: int) -> Tensor:
        return torch.full((count, 1), self.code.num_embeddings - 1)
