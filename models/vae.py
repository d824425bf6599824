"""Five variational autoencoders: networks that encode, decode, and say what their loss is made of.

Conventions
    x          a batch of what is modelled, (count, 1, mels, frames) log-mel or (count, 1, samples).
    latent     (count, latents) float; for ``VectorQuantised`` the codes, (count, tokens) int64.
    loss       a table of parts: ``reconstruction``, the negative logarithm of the likelihood without its
               constant, and ``kl`` (or ``commitment``), in nats a sound; what is minimised is their
               weighted sum, ``total``.
    generator  every random number is drawn from the ``torch.Generator`` passed in.

Networks
    simple           three convolutions down, three up, unit variance (Kingma and Welling 2014).
    residual         residual blocks, one learned variance a band (Rybkin et al. 2021), free bits (Kingma
                     et al. 2016).
    hierarchical     two levels, the lower one drawn given the upper (Sonderby et al. 2016; the posterior
                     is relative to the prior as in Vahdat and Kautz 2020).
    vector_quantised codes from a learned book (van den Oord et al. 2017), the book by moving averages with
                     unused codes restarted (Dhariwal et al. 2020).
    waveform         the same on samples, compared in several spectrograms (Yamamoto et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_LOG_DEVIATION = -3.0  # a likelihood may not grow without end on one band that is nearly constant
LOG_VARIANCES = (-8.0, 4.0)  # a posterior outside of these overflows or is a point
RESOLUTIONS = ((1024, 256), (512, 128), (128, 32))  # n_fft and hop length, in samples


class Network(nn.Module):
    """What the five have in common: a Gaussian posterior, and a loss of two parts.

    Parameters
    ----------
    shape : (mels, frames) or (samples,)
    width : int
        Channels of the first layer; deeper ones have more.
    latent : int
        Numbers a sound is described by.
    free_bits : float
        Nats in each latent that cost nothing, so that it is not given up before it is used.
    """

    down = 8  # every axis is padded to a multiple of it
    upper: int  # latents that a prior has to describe; the network draws the others itself

    def __init__(self, *, shape: Sequence[int], width: int, latent: int, free_bits: float = 0.0) -> None:
        super().__init__()
        self.shape, self.width, self.latent, self.free_bits = tuple(shape), width, latent, free_bits
        self.upper = latent
        self.padded = tuple(math.ceil(n / self.down) * self.down for n in self.shape)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents, (count, latents) each."""
        mean, log_variance = self.encoder(self.enlarge(x)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def encode(self, x: Tensor) -> Tensor:
        """The latents a sound is reconstructed from: the mean of the posterior."""
        return self.posterior(x)[0]

    def decode(self, latent: Tensor) -> Tensor:
        """The middle of what the latents stand for, (count, 1, ...)."""
        return self.reduce(self.decoder(latent))

    def complete(self, upper: Tensor, generator: torch.Generator) -> Tensor:
        """All latents, the ones below ``upper`` drawn given it. Here there are none."""
        return upper

    def loss(self, x: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """``reconstruction`` and ``kl`` in nats a sound, and ``kl_each``, (latents,), before free bits."""
        mean, log_variance = self.posterior(x)
        # KL(N(mean, variance) | N(0, 1)) of each latent over the batch: Kingma and Welling 2014, appendix B.
        each = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean(dim=0)
        latent = draw(mean, log_variance, generator)
        return {
            "reconstruction": self.reconstruction(x, self.decode(latent)),
            "kl": each.clamp(min=self.free_bits).sum(),
            "kl_each": each.detach(),
        }

    def reconstruction(self, x: Tensor, middle: Tensor) -> Tensor:
        """Half the squared error, summed over a sound: a Gaussian of unit variance, without its constant."""
        return 0.5 * ((x - middle) ** 2).flatten(1).sum(dim=1).mean()

    def enlarge(self, x: Tensor) -> Tensor:
        """Pad the last axes to multiples of ``down`` with the values at the edge."""
        over = [p - n for p, n in zip(self.padded, self.shape, strict=True)]
        pads = [value for extra in reversed(over) for value in (0, extra)]
        return F.pad(x, pads, mode="replicate") if any(over) else x

    def reduce(self, x: Tensor) -> Tensor:
        """The inverse of ``enlarge``."""
        return x[(..., *(slice(n) for n in self.shape))]


class Simple(Network):
    """Three convolutions of stride 2, a linear layer, and the same back."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        w, (height, length) = self.width, (n // 8 for n in self.padded)
        features = 4 * w * height * length
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, w, 4, 2, 1), nn.ReLU()),
            *(nn.Conv2d(w, 2 * w, 4, 2, 1), nn.ReLU()),
            *(nn.Conv2d(2 * w, 4 * w, 4, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(features, 2 * self.latent)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(self.latent, features), nn.ReLU(), nn.Unflatten(1, (4 * w, height, length))),
            *(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * w, w, 4, 2, 1), nn.ReLU()),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
        )


class Residual(Network):
    """Residual blocks at three resolutions, and one learned standard deviation for each band."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        w, (height, length) = self.width, (n // 8 for n in self.padded)
        features = 4 * w * height * length
        self.encoder = nn.Sequential(*contracting(w), nn.Flatten(), nn.Linear(features, 2 * self.latent))
        self.decoder = nn.Sequential(
            nn.Linear(self.latent, features), nn.Unflatten(1, (4 * w, height, length)), *expanding(w)
        )
        self.log_deviation = nn.Parameter(torch.zeros(self.shape[0], 1))

    def reconstruction(self, x: Tensor, middle: Tensor) -> Tensor:
        """As ``Network.reconstruction`` with the deviation of each band."""
        return banded(x - middle, self.log_deviation)


class Hierarchical(Residual):
    """A vector above, and below it a grid of an eighth of the resolution that is drawn given the vector.

    The posterior of the grid is the prior moved and narrowed by what the sound says beyond it.
    """

    grid = 4  # channels of the lower latents

    def __init__(self, **options) -> None:
        super().__init__(**options)
        w, (height, length) = self.width, (n // 8 for n in self.padded)
        self.lower = (self.grid, height, length)
        features = 4 * w * height * length
        self.upper = self.latent
        self.latent = self.upper + math.prod(self.lower)
        self.encoder = nn.Sequential(*contracting(w))
        self.top = nn.Sequential(nn.Flatten(), nn.Linear(features, 2 * self.upper))
        self.spread = nn.Sequential(
            *(nn.Linear(self.upper, features), nn.Unflatten(1, (4 * w, height, length))),
            *(Block(4 * w), Block(4 * w)),
        )
        self.prior = nn.Conv2d(4 * w, 2 * self.grid, 1)
        self.relative = nn.Conv2d(8 * w, 2 * self.grid, 3, padding=1)
        self.join = nn.Conv2d(4 * w + self.grid, 4 * w, 1)
        self.decoder = nn.Sequential(*expanding(w))
        for layer in (self.prior, self.relative):  # at first the grid is N(0, 1), whatever lies above it
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of the upper latents."""
        return self._upper(self.encoder(self.enlarge(x)))

    def encode(self, x: Tensor) -> Tensor:
        features = self.encoder(self.enlarge(x))
        upper, _ = self._upper(features)
        mean, _, _ = self._lower(features, self.spread(upper))
        return torch.cat([upper, mean.flatten(1)], dim=1)

    def decode(self, latent: Tensor) -> Tensor:
        upper, lower = latent[:, : self.upper], latent[:, self.upper :].unflatten(1, self.lower)
        return self._decoded(self.spread(upper), lower)

    def complete(self, upper: Tensor, generator: torch.Generator) -> Tensor:
        mean, log_variance = self._prior(self.spread(upper))
        return torch.cat([upper, draw(mean, log_variance, generator).flatten(1)], dim=1)

    def loss(self, x: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        features = self.encoder(self.enlarge(x))
        mean, log_variance = self._upper(features)
        above = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean(dim=0)
        spread = self.spread(draw(mean, log_variance, generator))
        mean, log_variance, relative = self._lower(features, spread)
        _, narrower = relative
        # KL between two Gaussians, the first's mean at the second's plus relative[0] deviations: Vahdat and
        # Kautz 2020, equation 2.
        below = 0.5 * (relative[0] ** 2 + narrower.exp() - 1 - narrower).mean(dim=0).flatten()
        lower = draw(mean, log_variance, generator)
        return {
            "reconstruction": self.reconstruction(x, self._decoded(spread, lower)),
            # A field of the grid says less than a latent above, and there are many more of them.
            "kl": above.clamp(min=self.free_bits).sum() + below.clamp(min=self.free_bits / 10).sum(),
            "kl_each": torch.cat([above, below]).detach(),
        }

    def _upper(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.top(features).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def _prior(self, spread: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.prior(spread).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def _lower(self, features: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Posterior of the grid, and how it lies to the prior: moved by so many deviations, log ratio."""
        mean, log_variance = self._prior(spread)
        moved, narrower = self.relative(torch.cat([features, spread], dim=1)).chunk(2, dim=1)
        narrower = narrower.clamp(*LOG_VARIANCES)
        return mean + moved * (0.5 * log_variance).exp(), log_variance + narrower, (moved, narrower)

    def _decoded(self, spread: Tensor, lower: Tensor) -> Tensor:
        return self.reduce(self.decoder(self.join(torch.cat([spread, lower], dim=1))))


class VectorQuantised(Network):
    """Each field of a grid is the nearest of ``codes`` vectors of ``latent`` numbers.

    The book is no parameter: it follows the encoder by moving averages. A code that nearly nothing was
    nearest to is put on an output of the encoder, drawn from the batch.
    """

    down = 8
    decay, least_use = 0.98, 0.05  # a code's uses in a batch, by moving average

    def __init__(self, *, codes: int, commitment: float = 0.25, **options) -> None:
        super().__init__(**options)
        w = self.width
        self.codes, self.commitment = codes, commitment
        self.grid = (self.padded[0] // 8, self.padded[1] // 4)  # fewer in frequency than in time
        self.tokens = math.prod(self.grid)
        self.encoder = nn.Sequential(*contracting(w, last=(2, 1)), nn.Conv2d(4 * w, self.latent, 1))
        self.decoder = nn.Sequential(nn.Conv2d(self.latent, 4 * w, 1), *expanding(w, first=(2, 1)))
        self.log_deviation = nn.Parameter(torch.zeros(self.shape[0], 1))
        self.register_buffer("book", torch.randn(codes, self.latent))
        self.register_buffer("sums", self.book.clone())
        self.register_buffer("uses", torch.ones(codes))

    reconstruction = Residual.reconstruction

    def encode(self, x: Tensor) -> Tensor:
        """Codes, (count, tokens): time after time, in each from low to high."""
        return self._nearest(self._fields(self.encoder(self.enlarge(x)))).flatten(1)

    def decode(self, latent: Tensor) -> Tensor:
        vectors = self.book[latent].unflatten(1, (self.grid[1], self.grid[0]))
        return self.reduce(self.decoder(vectors.permute(0, 3, 2, 1)))

    def loss(self, x: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """``reconstruction``, ``commitment``, ``codes`` of the batch and their ``perplexity``."""
        fields = self._fields(self.encoder(self.enlarge(x)))
        nearest = self._nearest(fields)
        vectors = self.book[nearest]
        if self.training:
            self._follow(fields.detach().flatten(0, 2), nearest.flatten(), generator)
        through = fields + (vectors - fields).detach()  # the gradient passes the rounding by
        distance = ((fields - vectors) ** 2).flatten(1).sum(dim=1).mean()
        return {
            "reconstruction": self.reconstruction(x, self.reduce(self.decoder(through.permute(0, 3, 2, 1)))),
            "commitment": self.commitment * distance,
            "perplexity": perplexity(nearest, self.codes),
            "codes": nearest.flatten(1),
        }

    @staticmethod
    def _fields(features: Tensor) -> Tensor:
        """(count, latents, height, length) -> (count, length, height, latents)."""
        return features.permute(0, 3, 2, 1)

    def _nearest(self, fields: Tensor) -> Tensor:
        """Codes of fields, (count, length, height): |b|^2 - 2 f b, which has the minimum of |f - b|^2."""
        flat = fields.flatten(0, 2)
        squared = (self.book**2).sum(dim=1) - 2 * flat @ self.book.T
        return squared.argmin(dim=1).unflatten(0, fields.shape[:3])

    @torch.no_grad()
    def _follow(self, flat: Tensor, nearest: Tensor, generator: torch.Generator) -> None:
        """Move each vector to the mean of what was nearest to it, of late; restart the ones nobody uses."""
        chosen = F.one_hot(nearest, self.codes).to(flat.dtype)
        self.uses.lerp_(chosen.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ flat, 1 - self.decay)
        dead = self.uses < self.least_use
        fresh = flat[torch.randint(len(flat), (self.codes,), generator=generator)]
        self.uses.masked_fill_(dead, 1.0)
        self.sums.copy_(torch.where(dead[:, None], fresh, self.sums))
        self.book.copy_(self.sums / self.uses[:, None])


class Waveform(Network):
    """On samples: learned filters in, convolutions of stride 4, and learned filters out.

    A squared error of samples would ask for the phase, which a small latent cannot hold: what comes out is
    silence. So magnitudes and their logarithms are compared, and the phases are the network's own affair.
    The likelihood is Laplace's, with one learned scale and as many dimensions as there are samples.
    """

    hop, taps = 16, 64  # samples, of the filters
    down = hop * 4**3

    def __init__(self, **options) -> None:
        super().__init__(**options)
        w, length = 4 * self.width, self.padded[0] // self.down
        edge = (self.taps - self.hop) // 2
        self.encoder = nn.Sequential(
            *(nn.Conv1d(1, w, self.taps, self.hop, edge), Loudness()),
            *(layer for _ in range(3) for layer in (nn.SiLU(), nn.Conv1d(w, w, 9, 4, 4), nn.GroupNorm(4, w))),
            *(nn.SiLU(), nn.Flatten(), nn.Linear(w * length, 2 * self.latent)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(self.latent, w * length), nn.Unflatten(1, (w, length))),
            *(
                layer
                for _ in range(3)
                for layer in (
                    *(nn.Upsample(scale_factor=4), nn.Conv1d(w, w, 9, 1, 4), nn.GroupNorm(4, w), nn.SiLU()),
                    *(nn.Conv1d(w, w, 5, 1, 2), nn.SiLU()),
                )
            ),
            *(nn.ConvTranspose1d(w, 1, self.taps, self.hop, edge), nn.Tanh()),
        )
        self.log_scale = nn.Parameter(torch.zeros(()))

    def reconstruction(self, x: Tensor, middle: Tensor) -> Tensor:
        """Nats a sound of a Laplace likelihood of the spectra's mean error, without its constant."""
        errors = []
        for n_fft, hop in RESOLUTIONS:
            if n_fft <= x.shape[-1]:
                real, made = (spectrum(signal[:, 0], n_fft, hop) for signal in (x, middle))
                # Spectral convergence in L1, and the distance of the logarithms: Yamamoto et al. 2020.
                errors.append((real - made).abs().mean() / real.mean() + (log(real) - log(made)).abs().mean())
        scale = self.log_scale.clamp(min=SMALLEST_LOG_DEVIATION)
        return x.shape[-1] * (torch.stack(errors).mean() * (-scale).exp() + scale)


class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.GroupNorm(4, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
            *(nn.GroupNorm(4, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
        )
        # A block begins as the identity, so that depth costs nothing at the start.
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Loudness(nn.Module):
    """Logarithm of the modulus: what a filter lets through, whatever its phase."""

    def forward(self, x: Tensor) -> Tensor:
        return log(x.abs())


def contracting(width: int, *, last: tuple[int, int] = (2, 2)) -> list[nn.Module]:
    """1 channel -> 4 width channels at an eighth of the resolution (a quarter along a 1 of ``last``)."""
    kernel = (4, 4 if last[1] == 2 else 3)
    return [
        *(nn.Conv2d(1, width, 4, 2, 1), Block(width)),
        *(nn.Conv2d(width, 2 * width, 4, 2, 1), Block(2 * width)),
        *(nn.Conv2d(2 * width, 4 * width, kernel, last, 1), Block(4 * width)),
        *(nn.GroupNorm(4, 4 * width), nn.SiLU()),
    ]


def expanding(width: int, *, first: tuple[int, int] = (2, 2)) -> list[nn.Module]:
    """The way back of ``contracting``."""
    kernel = (4, 4 if first[1] == 2 else 3)
    return [
        *(Block(4 * width), nn.ConvTranspose2d(4 * width, 2 * width, kernel, first, 1)),
        *(Block(2 * width), nn.ConvTranspose2d(2 * width, width, 4, 2, 1)),
        *(Block(width), nn.GroupNorm(4, width), nn.SiLU(), nn.ConvTranspose2d(width, 1, 4, 2, 1)),
    ]


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A draw of a Gaussian through which gradients pass to mean and variance (reparametrised)."""
    return mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)


def banded(error: Tensor, log_deviation: Tensor) -> Tensor:
    """Nats a sound of Gaussian errors whose logarithmic deviation is the band's, without the constant."""
    log_deviation = log_deviation.clamp(min=SMALLEST_LOG_DEVIATION)
    nats = 0.5 * (error * (-log_deviation).exp()) ** 2 + log_deviation
    return nats.flatten(1).sum(dim=1).mean()


def perplexity(codes: Tensor, book: int) -> Tensor:
    """The exponential of the entropy: how many codes would be in even use."""
    share = torch.bincount(codes.flatten(), minlength=book) / codes.numel()
    return torch.exp(-(share * share.clamp(min=1e-12).log()).sum())


def spectrum(signals: Tensor, n_fft: int, hop: int) -> Tensor:
    """Magnitudes, (count, bins, frames), of signals (count, samples)."""
    window = torch.hann_window(n_fft)
    transform = torch.stft(signals, n_fft, hop, window=window, return_complex=True)
    return (transform.real**2 + transform.imag**2 + 1e-10).sqrt()


def log(magnitude: Tensor) -> Tensor:
    """With a floor under which there is nothing to be heard."""
    return (magnitude + 1e-3).log()


NETWORKS = {
    "simple": Simple,
    "residual": Residual,
    "hierarchical": Hierarchical,
    "vector_quantised": VectorQuantised,
    "waveform": Waveform,
}


def build(network: str, *, seed: int, **options) -> Network:
    """A network with weights drawn from ``seed``. ValueError for a name that is not in ``NETWORKS``."""
    if network not in NETWORKS:
        raise ValueError(f"no network {network!r}; there are {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers draw their weights from the global generator
        return NETWORKS[network](**options)
