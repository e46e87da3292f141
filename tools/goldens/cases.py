"""The pipeline cases: what is asked of which model."""

PROMPT = "a photo of a long scratch on metal"
NEGATIVE = "blurry, low quality"
LONG = (
    "a macro photo of a rusty bolt on a concrete floor, deep scratches, a dent near the edge, "
    "oil stains, harsh light from the left, shallow depth of field, worn paint, cracked seal, "
    "dust on the thread, chipped corner, fine grain, 45 degrees"
)
WEIGHTED = "a (rusty:1.4) bolt with a ((deep)) scratch, [blurry background], \\(macro\\) (dent:0.6)"
WEIGHTED_ODDLY = "a bolt], [[worn]] paint:1.2 \\\\ (rust:0) ((scratch, (dent:1.5) on metal"
WEIGHTED_LONG = f"(oil stains:1.3) everywhere, {LONG}, (cracked seal:1.25)"

# Half precision against the same weights in single; measured by `ort_diff`.
HALF_TOLERANCE = {"embeds": 5e-3, "latents": 1e-3, "png_levels": 2, "png_share": 0.05}


def case(name: str, model: str, pipeline: str, size: tuple[int, int], **options) -> dict:
    """`size` is width and height. Keys without a value here have diffusers' meaning."""
    width, height = size
    standard = {"prompt": PROMPT, "steps": 5, "guidance_scale": 7.5}
    head = {"name": name, "model": model, "pipeline": pipeline}
    return head | {"height": height, "width": width} | standard | options


def with_image(size: tuple[int, int], strength: float) -> dict:
    width, height = size
    return {"image": f"in_{width}x{height}.png", "strength": strength}


def with_mask(size: tuple[int, int], strength: float) -> dict:
    width, height = size
    return with_image(size, strength) | {"mask": f"mask_{width}x{height}.png"}


def sd2_cases() -> list[dict]:
    """Stable Diffusion 2: v-prediction through every kind of solver."""
    size = (16, 16)
    model = "tiny-sd2"
    names = {
        "euler": "Euler",
        "euler-a": "Euler a",
        "dpmpp2m": "DPM++ 2M",
        "dpmpp2m-karras": "DPM++ 2M Karras",
        "dpmpp2m-sde": "DPM++ 2M SDE",
        "dpmpp-sde": "DPM++ SDE",
        "dpm2": "DPM2",
        "dpm2-a-karras": "DPM2 a Karras",
        "heun": "Heun",
        "lms-karras": "LMS Karras",
        "pndm": "PNDM",
        "ddpm": "DDPM",
        "unipc": "UniPC",
        "tcd": "TCD",
        "lcm": "LCM",
    }
    solvers = [
        case(f"sd2-{key}", model, "txt2img", size, seed=101 + i, scheduler=name, steps=4)
        for i, (key, name) in enumerate(names.items())
    ]
    image, mask = with_image(size, 0.3), with_mask(size, 1.0)
    dent = {"prompt": "a dent on a steel plate", "negative_prompt": NEGATIVE}
    return [
        case("sd2-ddim", model, "txt2img", size, seed=100, negative_prompt=NEGATIVE),
        case("sd2-guidance-1", model, "txt2img", size, seed=120, guidance_scale=1.0),
        case("sd2-wide", model, "txt2img", (24, 16), seed=121, scheduler="DPM++ 2M"),
        case("sd2-high", model, "txt2img", (16, 24), seed=122, scheduler="Euler a", images=2),
        *solvers,
        case("sd2-img2img-0.3", model, "img2img", size, **dent, **image, seed=130, steps=10),
        case(
            "sd2-img2img-0.6-euler-a",
            model,
            "img2img",
            size,
            **dent,
            **with_image(size, 0.6),
            seed=131,
            scheduler="Euler a",
            images=2,
        ),
        case(
            "sd2-img2img-1.0-heun",
            model,
            "img2img",
            size,
            **dent,
            **with_image(size, 1.0),
            seed=132,
            scheduler="Heun",
        ),
        case("sd2-inpaint-1.0", model, "inpaint", size, **dent, **mask, seed=133),
        case(
            "sd2-inpaint-0.5-dpmpp2m",
            model,
            "inpaint",
            (24, 16),
            **dent,
            **with_mask((24, 16), 0.5),
            seed=134,
            scheduler="DPM++ 2M",
            steps=8,
        ),
        case(
            "sd2-inpaint-images-2",
            model,
            "inpaint",
            size,
            **dent,
            **with_mask(size, 0.8),
            seed=137,
            scheduler="Euler a",
            images=2,
        ),
        case("sd2-chunk", model, "txt2img", size, **chunk(LONG), seed=135, scheduler="Euler"),
        case("sd2-weights", model, "txt2img", size, **weights(WEIGHTED_ODDLY), seed=136),
    ]


def chunk(prompt: str) -> dict:
    return {"prompt": prompt, "prompt_overflow": "Chunk"}


def weights(prompt: str) -> dict:
    return chunk(prompt) | {"prompt_syntax": "Weighted"}


def lcm_cases() -> list[dict]:
    """Latent consistency: the guidance is an input of the UNet, there is no second pass."""
    size = (16, 16)
    model = "tiny-lcm"
    guided = {"guidance_scale": 8.5}
    counts = [
        case(f"lcm-{steps}", model, "txt2img", size, **guided, seed=140 + steps, steps=steps)
        for steps in (1, 2, 4, 8)
    ]
    dent = {"prompt": "a dent on a steel plate"}
    pictures = [
        case(
            f"lcm-img2img-{strength}-{steps}",
            model,
            "img2img",
            size,
            **guided,
            **dent,
            **with_image(size, strength),
            seed=160 + steps,
            steps=steps,
        )
        for strength, steps in ((0.3, 4), (0.5, 2), (0.8, 1), (1.0, 4))
    ]
    return [
        *counts,
        case("lcm-guidance-1", model, "txt2img", size, guidance_scale=1.0, seed=150, steps=4),
        case("lcm-guidance-3", model, "txt2img", (24, 16), guidance_scale=3.0, seed=151, steps=4),
        case("lcm-images-2", model, "txt2img", size, **guided, seed=152, steps=2, images=2),
        case("lcm-chunk", model, "txt2img", size, **guided, **chunk(LONG), seed=153, steps=2),
        *pictures,
        case(
            "lcm-img2img-images-2",
            model,
            "img2img",
            size,
            **guided,
            **dent,
            **with_image(size, 0.5),
            seed=170,
            steps=4,
            images=2,
        ),
    ]


def turbo_cases() -> list[dict]:
    size = (16, 16)
    model = "tiny-turbo"
    plain = {"guidance_scale": 0.0}
    half = with_image(size, 0.5)
    return [
        case("turbo-1", model, "txt2img", size, **plain, seed=180, steps=1),
        case("turbo-4", model, "txt2img", size, **plain, seed=181, steps=4),
        case("turbo-images-2", model, "txt2img", size, **plain, seed=182, steps=2, images=2),
        case("turbo-img2img", model, "img2img", size, **plain, **half, seed=183, steps=2),
        case("turbo-euler", model, "txt2img", size, **plain, seed=184, steps=4, scheduler="Euler"),
    ]


def sdxl_cases() -> list[dict]:
    """On the given tiny-sdxl: the tasks, and prompts, that its own set lacks."""
    size = (48, 32)
    model = "tiny-sdxl"
    asked = {"prompt": "a macro photo of a crack in concrete", "guidance_scale": 5.0}
    low, high = with_image(size, 0.3), with_image(size, 1.0)
    mask, soft = with_mask(size, 1.0), with_mask(size, 0.6)
    negative = {"negative_prompt": NEGATIVE}
    return [
        case("sdxl-img2img-0.3", model, "img2img", size, **asked, **low, seed=190, steps=10),
        case(
            "sdxl-img2img-1.0-dpmpp2m",
            model,
            "img2img",
            size,
            **asked | negative,
            **high,
            seed=191,
            scheduler="DPM++ 2M Karras",
        ),
        case(
            "sdxl-img2img-0.7-euler-a",
            model,
            "img2img",
            size,
            **asked | {"guidance_scale": 1.0},
            **with_image(size, 0.7),
            seed=192,
            scheduler="Euler a",
            images=2,
        ),
        case("sdxl-inpaint-1.0", model, "inpaint", size, **asked, **mask, seed=193),
        case(
            "sdxl-inpaint-0.6-ddim",
            model,
            "inpaint",
            size,
            **asked | negative,
            **soft,
            seed=194,
            scheduler="DDIM",
        ),
        case("sdxl-empty-negative", model, "txt2img", size, **asked, negative_prompt="", seed=195),
        case("sdxl-chunk", model, "txt2img", size, **asked | chunk(LONG), seed=196, steps=3),
        case(
            "sdxl-weights",
            model,
            "txt2img",
            size,
            **asked | weights(WEIGHTED),
            negative_prompt=f"(blurry:1.5), {LONG}",
            seed=198,
            steps=3,
        ),
    ]


def prompt_cases() -> list[dict]:
    """On the given tiny-sd."""
    size = (32, 32)
    model = "tiny-sd"
    euler = {"scheduler": "Euler", "steps": 3}
    both = euler | {"negative_prompt": NEGATIVE}
    return [
        case("chunk", model, "txt2img", size, **chunk(LONG), **euler, seed=200),
        case("chunk-fits", model, "txt2img", size, **chunk(PROMPT), **both, seed=201),
        case(
            "chunk-long-negative",
            model,
            "txt2img",
            size,
            **chunk(PROMPT),
            **euler,
            negative_prompt=LONG,
            seed=202,
        ),
        case("chunk-guidance-1", model, "txt2img", size, **chunk(LONG), **euler, seed=203)
        | {"guidance_scale": 1.0},
        case("weights", model, "txt2img", size, **weights(WEIGHTED), **both, seed=204),
        case("weights-none", model, "txt2img", size, **weights(PROMPT), **both, seed=205),
        case("weights-long", model, "txt2img", size, **weights(WEIGHTED_LONG), **euler, seed=206),
        case(
            "weights-truncate",
            model,
            "txt2img",
            size,
            **weights(WEIGHTED_LONG) | {"prompt_overflow": "Truncate"},
            **both,
            seed=207,
        ),
    ]


def inpaint_cases() -> list[dict]:
    """On the given tiny-sd-inpaint, whose UNet takes mask and masked image as channels."""
    size = (48, 32)
    model = "tiny-sd-inpaint"
    common = {"steps": 4, "images": 2}
    return [
        case("inpaint9-1.0", model, "inpaint", size, **common, **with_mask(size, 1.0), seed=208),
        case("inpaint9-0.6", model, "inpaint", size, **common, **with_mask(size, 0.6), seed=209)
        | {"scheduler": "Euler a", "guidance_scale": 1.0},
    ]


def layout_cases() -> list[dict]:
    """The same pipeline from other files: legacy layout, half precision, opset 23."""
    small, wide = (16, 16), (48, 32)
    euler = {"scheduler": "Euler"}
    negative = {"negative_prompt": NEGATIVE}
    loose = {"tolerance": HALF_TOLERANCE, "guidance_scale": 2.0}
    half, legacy, new = "tiny-sd-fp16", "tiny-sd-legacy", "tiny-sd-opset23"
    image, mask = with_image(small, 0.6), with_mask(small, 0.8)
    return [
        case("legacy-pndm", legacy, "txt2img", wide, seed=210, steps=4),
        case("legacy-euler-a", legacy, "txt2img", (32, 48), **negative, seed=211, images=2)
        | {"scheduler": "Euler a", "steps": 3},
        case("legacy-img2img", legacy, "img2img", wide, **with_image(wide, 0.6), **euler, seed=212),
        case("fp16-pndm", half, "txt2img", small, **loose, seed=220, steps=4),
        case("fp16-dpmpp2m", half, "txt2img", (24, 16), **loose, seed=221, scheduler="DPM++ 2M"),
        case("fp16-img2img", half, "img2img", small, **loose, **image, **euler, seed=222),
        case("opset23-pndm", new, "txt2img", small, seed=230, steps=4),
        case("opset23-inpaint", new, "inpaint", (16, 16), **negative, **mask, **euler, seed=231),
    ]


def lora_cases() -> list[dict]:
    size = (32, 32)
    sets = {
        "kohya-text": [("kohya-text", 1.0)],
        "kohya-conv": [("kohya-conv", 0.8)],
        "processors": [("diffusers-processors", 1.0)],
        "layers": [("diffusers-layers", 1.0)],
        "two": [("kohya-text", 0.7), ("diffusers-layers", -0.5)],
        "two-unet": [("kohya-conv", 0.5), ("diffusers-processors", 1.5)],
        "zero": [("kohya-text", 0.0)],
    }
    plain = [
        case(f"lora-{name}", "tiny-sd", "txt2img", size, seed=240, scheduler="Euler", steps=3)
        | {"loras": name_loras(loras)}
        for name, loras in sets.items()
    ]
    sdxl = case("lora-sdxl", "tiny-sdxl", "txt2img", (48, 32), seed=241, steps=3)
    new = case("lora-opset23", "tiny-sd-opset23", "txt2img", (16, 16), seed=242, steps=4)
    return [
        *plain,
        sdxl | {"guidance_scale": 5.0, "loras": name_loras([("kohya-sdxl", 0.8)])},
        new | {"loras": name_loras([("kohya-opset23", 0.8)])},
    ]


def name_loras(loras: list[tuple[str, float]]) -> list[dict]:
    return [{"file": f"{name}.safetensors", "scale": scale} for name, scale in loras]


def list_cases() -> list[dict]:
    return [
        *sd2_cases(),
        *lcm_cases(),
        *turbo_cases(),
        *sdxl_cases(),
        *prompt_cases(),
        *inpaint_cases(),
        *layout_cases(),
        *lora_cases(),
    ]
