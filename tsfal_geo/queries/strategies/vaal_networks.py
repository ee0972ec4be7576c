"""VAAL's networks and losses (Sinha, Ebrahimi, Darrell 2019): a β-VAE and a discriminator of its codes.

The VAE learns to make codes of labelled and unlabelled pictures alike, the discriminator to tell them apart;
what it takes for unlabelled to the end is unlike what is labelled. Neither sees the segmenter, nor the
segmenter them: trained after it, they are what they would be beside it.
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
    """Four stride-2 convolutions to a code of 32 and back."""

    def __init__(self, channels: int, side: int, width: int = WIDTH) -> None:
        """Build the network.

        Args:
            channels: of the pictures.
            side: pixels a side, a multiple of 16.
            width: channels of the first layer; each further one has twice as many.
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
        """Mean and log-variance of the codes of (N, channels, side, side), (N, 32) each."""
        inner = self.encoder(pictures)
        return self.mean(inner), self.log_variance(inner)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures back from drawn codes; mean and log-variance of the codes."""
        mean, log_variance = self.encode(pictures)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


class Discriminator(nn.Sequential):
    """Logit of "this code is of a labelled picture", (N, 32) to (N,): three layers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(LATENT, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, 1),
            nn.Flatten(0),
        )


def vae_loss(pictures: Tensor, again: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean squared error plus β times the codes' divergence from N(0, I), summed over codes and pictures.

    That the one is a mean and the other a sum is the authors' code.
    """
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return F.mse_loss(again, pictures) + BETA * divergence


def adversary_loss(labelled: Tensor, unlabelled: Tensor, *, fooling: bool) -> Tensor:
    """Binary cross-entropy of the discriminator's logits, a mean for each pool, both added.

    Args:
        labelled: logits of labelled pictures, (N,); their target is 1.
        unlabelled: of unlabelled ones; their target is 0, or 1 for the VAE that wants to fool.
        fooling: whose loss it is, the VAE's or the discriminator's.
    """
    target = torch.full_like(unlabelled, float(fooling))
    return F.binary_cross_entropy_with_logits(
        labelled, torch.ones_like(labelled)
    ) + F.binary_cross_entropy_with_logits(unlabelled, target)


def shrink(pictures: Tensor) -> Tensor:
    """Average (N, channels, S, S) down to at most 128 pixels a side."""
    return F.adaptive_avg_pool2d(pictures, min(SIDE, pictures.shape[-1]))


def train(material: TrainingPool, seed: int, width: int = WIDTH) -> tuple[Vae, Discriminator]:
    """Train both from scratch: for each of the segmenter's steps two of the VAE and one of the discriminator.

    The same seed gives the same networks; the global random state is left as it was.
    """
    rng = np.random.default_rng(seed)
    streams = [_stream(pool, material.batch, rng) for pool in (material.labelled, material.unlabelled)]
    devices = [material.device] if material.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        sample = material.pictures(material.labelled[:1])
        vae = Vae(sample.shape[1], sample.shape[-1], width).to(material.device)
        discriminator = Discriminator().to(material.device)
        by_vae = torch.optim.Adam(vae.parameters(), RATE)
        by_discriminator = torch.optim.Adam(discriminator.parameters(), RATE)
        for step in range(material.steps):
            for _ in range(VAE_STEPS):
                known, other = (material.pictures(next(stream)).to(material.device) for stream in streams)
                (back, mean, spread), (back_u, mean_u, spread_u) = vae(known), vae(other)
                fooled = adversary_loss(discriminator(mean), discriminator(mean_u), fooling=True)
                loss = vae_loss(known, back, mean, spread) + vae_loss(other, back_u, mean_u, spread_u)
                _descend(by_vae, loss + ADVERSARY * fooled)
            with torch.no_grad():
                mean, mean_u = vae.encode(known)[0], vae.encode(other)[0]
            told = adversary_loss(discriminator(mean), discriminator(mean_u), fooling=False)
            _descend(by_discriminator, told)
            material.progress((step + 1) / material.steps)
    return vae.eval(), discriminator.eval()


@torch.no_grad()
def probability(networks: tuple[Vae, Discriminator], picture: Tensor) -> float:
    """P(labelled) of one picture, (1, channels, s, s), from the mean of its code."""
    vae, discriminator = networks
    return float(discriminator(vae.encode(picture)[0]).sigmoid())


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _stream(pool: Sequence[int], batch: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Batches without end; every chip of the pool once before any comes again."""
    waiting: list[int] = []
    while True:
        while len(waiting) < batch:
            waiting += rng.permutation(np.asarray(pool)).tolist()
        yield waiting[:batch]
        waiting = waiting[batch:]


def _block(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True))
