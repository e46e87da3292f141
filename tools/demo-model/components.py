"""The parts of the demo model: their shapes, their noise schedule, and their weights on disk."""

from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from autoencoder import Autoencoder

TOKENS_MAX = 77
WIDTH = 96
LATENT_CHANNELS = 4
INPAINT_CHANNELS = 2 * LATENT_CHANNELS + 1  # latents, mask, latents of the masked picture
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def new_unet(in_channels=LATENT_CHANNELS):
    """A UNet of 2.5 M parameters for latents of 16×16."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 96),
        layers_per_block=1,
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
    )


def new_text_encoder(vocabulary_size):
    """A CLIP text encoder of 0.24 M parameters; the last two tokens are start and end."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS_MAX,
            bos_token_id=vocabulary_size - 2,
            eos_token_id=vocabulary_size - 1,
            pad_token_id=vocabulary_size - 1,
        )
    )


def noise_levels():
    """The cumulative alphas of the 1,000 training timesteps."""
    return DDPMScheduler(**NOISE).alphas_cumprod


class Workshop:
    """The folder in which training keeps its data, vocabulary, weights and checkpoints."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        return self.folder / name

    def forget_latents(self):
        """Removes what was encoded from other pictures or by another autoencoder."""
        for name in ("latents.pt", "inpaint-latents.pt"):
            self.path(name).unlink(missing_ok=True)

    def save(self, name, module, **metadata):
        """Writes weights as NAME.safetensors; metadata values become strings."""
        weights = {key: value.contiguous() for key, value in module.state_dict().items()}
        texts = {key: str(value) for key, value in metadata.items()}
        save_file(weights, self.path(f"{name}.safetensors"), metadata=texts)

    def load(self, name, module):
        """Reads NAME.safetensors into the module and returns it ready for use."""
        module.load_state_dict(load_file(self.path(f"{name}.safetensors")))
        return module.eval().requires_grad_(False)

    def tokenizer(self):
        return CLIPTokenizer.from_pretrained(self.path("tokenizer"))

    def text_encoder(self):
        return self.load("text_encoder", new_text_encoder(len(self.tokenizer())))

    def unet(self):
        return self.load("unet", new_unet())

    def unet_inpaint(self):
        return self.load("unet_inpaint", new_unet(INPAINT_CHANNELS))

    def autoencoder(self):
        return self.load("autoencoder", Autoencoder())

    def scaling_factor(self):
        """What latents are multiplied by, so that their deviation is one."""
        with safe_open(self.path("autoencoder.safetensors"), "pt") as file:
            return float(file.metadata()["scaling_factor"])
