"""Networks and losses of VAAL (Sinha, Ebrahimi, Darrell 2019): a β-VAE and a discriminator of its codes.

The VAE learns to give labelled and unlabelled pictures similar codes; the discriminator learns to tell the
codes apart. Pictures that the discriminator still rates as unlabelled differ from the labelled ones. The
authors train both beside the segmenter. Nothing flows between them, so that training after it is equivalent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.queries.strategy import TrainingPool

SIDE = 128
LATENT = 32
WIDTH = 64
BETA = 1.0
ADVERSARY = 1.0
RATE = 5e-4
VAE_STEPS = 2
_HIDDEN = 512
_LEVELS = 4


class Vae(nn.Module):
    """Variational autoencoder: four convolutions of stride 2 to a code of 32 values, and a mirrored decoder.

    Attributes:
        encoder: pictures to (N, inner) features.
        mean: features to the means of the codes, (N, 32).
        log_variance: features to their log-variances, (N, 32).
        decoder: codes to pictures.
    """

    def __init__(self, channels: int, side: int, width: int = WIDTH) -> None:
        """Build the network.

        Args:
            channels: of the pictures.
            side: pixels a side, a multiple of 16.
            width: channels of the first layer; each further layer has twice as many.
        """
        super().__init__()
        widths = [width << level for level in range(_LEVELS)]
        grid = side >> _LEVELS
        down = [
            _block(nn.Conv2d(a, b, 4, 2, 1, bias=False))
            for a, b in zip([channels, *widths], widths, strict=False)
        ]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        inner = widths[-1] * grid**2
        self.mean, self.log_variance = nn.Linear(inner, LATENT), nn.Linear(inner, LATENT)
        up = [
            _block(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False))
            for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        ]
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, widths[-1] * (2 * grid) ** 2),
            nn.Unflatten(1, (widths[-1], 2 * grid, 2 * grid)),
            *up,
            nn.Conv2d(width, channels, 1),
        )

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures.

        Args:
            pictures: (N, channels, side, side) float.

        Returns:
            Mean and log-variance of the codes, (N, 32) each.
        """
        inner = self.encoder(pictures)
        return self.mean(inner), self.log_variance(inner)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw codes of pictures and decode them.

        Args:
            pictures: (N, channels, side, side) float.

        Returns:
            Reconstructed pictures, and mean and log-variance of their codes, (N, 32) each.
        """
        mean, log_variance = self.encode(pictures)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


class Discriminator(nn.Sequential):
    """Three linear layers from codes (N, 32) to logits (N,) of "the picture is labelled"."""

    def __init__(self) -> None:
        """Build the network."""
        super().__init__(
            nn.Linear(LATENT, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, 1),
            nn.Flatten(0),
        )


def vae_loss(pictures: Tensor, again: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute the loss of the VAE: the reconstruction error plus β times the divergence from N(0, I).

    As in the authors' code, the squared error is a mean and the divergence a sum over codes and pictures.

    Args:
        pictures: (N, channels, side, side) float.
        again: their reconstructions, likewise.
        mean: (N, 32), of the codes.
        log_variance: (N, 32), of the codes.

    Returns:
        Scalar.
    """
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return F.mse_loss(again, pictures) + BETA * divergence


def adversary_loss(labelled: Tensor, unlabelled: Tensor, *, fooling: bool) -> Tensor:
    """Compute the binary cross-entropy of the discriminator's logits: the sum of the means of both pools.

    Args:
        labelled: (N,) logits of labelled pictures; their target is 1.
        unlabelled: (M,) logits of unlabelled pictures; their target is 1 with ``fooling``, else 0.
        fooling: True for the loss of the VAE, False for that of the discriminator.

    Returns:
        Scalar.
    """
    target = torch.full_like(unlabelled, float(fooling))
    return F.binary_cross_entropy_with_logits(
        labelled, torch.ones_like(labelled)
    ) + F.binary_cross_entropy_with_logits(unlabelled, target)


def shrink(pictures: Tensor) -> Tensor:
    """Downsample pictures to at most 128 pixels a side by averages.

    Args:
        pictures: (N, channels, S, S) float.

    Returns:
        (N, channels, s, s) with s = min(S, 128).
    """
    return F.adaptive_avg_pool2d(pictures, min(SIDE, pictures.shape[-1]))


def train(pool: TrainingPool, seed: int, width: int = WIDTH) -> tuple[Vae, Discriminator]:
    """Train VAE and discriminator from scratch.

    For each training step of the segmenter, the VAE takes two steps and the discriminator one, as in the
    authors' code. The same seed gives the same networks; the global random state is restored afterwards.

    Args:
        pool: thumbnails, pools and schedule; neither pool is empty.
        seed: of initial weights, batches and drawn codes.
        width: channels of the first layer of the VAE.

    Returns:
        Both networks, in evaluation mode on the pool's device.
    """
    rng = np.random.default_rng(seed)
    streams = [_stream(chips, pool.batch, rng) for chips in (pool.labelled, pool.unlabelled)]
    devices = [pool.device] if pool.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        sample = pool.pictures(pool.labelled[:1])
        vae = Vae(sample.shape[1], sample.shape[-1], width).to(pool.device)
        discriminator = Discriminator().to(pool.device)
        by_vae = torch.optim.Adam(vae.parameters(), RATE)
        by_discriminator = torch.optim.Adam(discriminator.parameters(), RATE)
        for step in range(pool.steps):
            for _ in range(VAE_STEPS):
                labelled, unlabelled = (pool.pictures(next(stream)).to(pool.device) for stream in streams)
                (back, mean, spread), (back_u, mean_u, spread_u) = vae(labelled), vae(unlabelled)
                fooled = adversary_loss(discriminator(mean), discriminator(mean_u), fooling=True)
                loss = vae_loss(labelled, back, mean, spread)
                loss = loss + vae_loss(unlabelled, back_u, mean_u, spread_u)
                _descend(by_vae, loss + ADVERSARY * fooled)
            with torch.no_grad():
                mean, mean_u = vae.encode(labelled)[0], vae.encode(unlabelled)[0]
            loss = adversary_loss(discriminator(mean), discriminator(mean_u), fooling=False)
            _descend(by_discriminator, loss)
            pool.progress((step + 1) / pool.steps)
    return vae.eval(), discriminator.eval()


@torch.no_grad()
def probability(networks: tuple[Vae, Discriminator], picture: Tensor) -> float:
    """Compute P(labelled) of a picture from the mean of its code.

    Args:
        networks: VAE and discriminator, in evaluation mode.
        picture: (1, channels, s, s) float, on their device.

    Returns:
        Probability in 0..1.
    """
    vae, discriminator = networks
    return float(discriminator(vae.encode(picture)[0]).sigmoid())


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    optimiser.step()


def _stream(chips: Sequence[int], batch: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield batches without end; every chip of the pool comes once before any chip is repeated."""
    waiting: list[int] = []
    while True:
        while len(waiting) < batch:
            waiting += rng.permutation(np.asarray(chips)).tolist()
        yield waiting[:batch]
        waiting = waiting[batch:]


def _block(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True))
