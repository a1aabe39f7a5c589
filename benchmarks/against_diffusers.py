"""AutoencoderKL as it is rebuilt here, against diffusers' own on the same folders.

`python -m benchmarks.against_diffusers` prints the largest differences; it needs diffusers, which
nothing else here does. With `--fixture FOLDER` it writes the folder that tests hold themselves to.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from vae_core.bring import Wishes, doors
from vae_core.config import RunConfig
from vae_core.families import build

NETWORKS: dict[str, dict[str, Any]] = {
    "two stages": {"block_out_channels": (8, 16), "norm_num_groups": 4},
    "as Stable Diffusion": {
        "block_out_channels": (16, 32, 64, 64),
        "layers_per_block": 2,
        "norm_num_groups": 16,
    },
    "as Stable Diffusion 3": {
        "block_out_channels": (16, 32, 64, 64),
        "layers_per_block": 2,
        "norm_num_groups": 16,
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "scaling_factor": 1.5305,
        "shift_factor": 0.0609,
    },
    "grey, no attention": {
        "block_out_channels": (8, 16),
        "norm_num_groups": 4,
        "in_channels": 1,
        "out_channels": 1,
        "mid_block_add_attention": False,
    },
    "GELU": {"block_out_channels": (8, 16), "norm_num_groups": 4, "act_fn": "gelu"},
}

FIXTURE: dict[str, Any] = {
    "block_out_channels": (4, 8),
    "norm_num_groups": 2,
    "scaling_factor": 0.5,
    "shift_factor": 0.25,
}

SIZE = (32, 48)


def theirs(facts: Mapping[str, Any]) -> Any:
    """diffusers' own network of these settings, with weights away from their beginnings."""
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        sys.exit("This comparison needs diffusers: pip install diffusers")
    torch.manual_seed(0)
    stages = len(facts["block_out_channels"])
    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        **facts,
    ).eval()
    for weight in network.parameters():
        weight.data.add_(0.05 * torch.randn_like(weight))
    return network


@torch.inference_mode()
def answers(network: Any, size: tuple[int, int]) -> dict[str, Tensor]:
    """What it makes of images x in [0, 1], and of latents z as diffusion models see them."""
    settings = network.config
    factor, shift = settings.scaling_factor, settings.shift_factor or 0.0
    x = torch.rand(3, settings.in_channels, *size)
    found = network.encode(2 * x - 1).latent_dist
    mu = (found.mean - shift) * factor
    z = torch.randn_like(mu)
    picture = (network.decode(z / factor + shift).sample / 2 + 0.5).clamp(0, 1)
    logvar = found.logvar + 2 * math.log(factor)
    return {"x": x, "mu": mu, "logvar": logvar, "z": z, "picture": picture}


@torch.inference_mode()
def differences(folder: Path, wanted: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest difference of what is rebuilt from a folder to `answers`."""
    found = doors["diffusers"].build([folder], Wishes())
    config = RunConfig.model_validate(
        {"family": found.family, "model": found.model, "objective": found.objective}
    )
    _, channels, height, width = wanted["x"].shape
    model = build(config, (channels, height, width))[0].eval()
    assert found.weights is not None
    own = model.state_dict()
    shapes = {k: tuple(v.shape) for k, v in own.items() if not k.startswith("likelihood.")}
    model.load_state_dict(own | found.weights(shapes))
    posterior = model.encode(wanted["x"])
    ours = {
        "mu": posterior.mode(),
        "logvar": posterior.log_variance(),
        "picture": model.picture(model.decode(wanted["z"])),
    }
    return {name: float((each - wanted[name]).abs().max()) for name, each in ours.items()}


def main() -> None:
    """Print the differences of every network, or write the fixture."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fixture", type=Path)
    place = arguments.parse_args().fixture
    if place is not None:
        network = theirs(FIXTURE)
        network.save_pretrained(place)
        found = {name: each.contiguous() for name, each in answers(network, (16, 24)).items()}
        save_file(found, place / "answers.safetensors")
        return
    for name, facts in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            network = theirs(facts)
            network.save_pretrained(folder)
            found_ones = differences(Path(folder), answers(network, SIZE)).items()
            print(f"{name:22}", "  ".join(f"{what} {value:.1e}" for what, value in found_ones))


if __name__ == "__main__":
    main()
