"""Golden values of diffusers' schedulers for settings that pipelines seldom use.

    python schedulers.py --output FOLDER

writes FOLDER/schedulers.json and FOLDER/schedulers.bin in the format that
test/goldens/data/README.md describes, with one difference: `config` is what `from_config` was
given, so that defaults and renamed words are compared too. A setting `mu` is not diffusers': it
stands for the argument of that name of `set_timesteps`. Needs torch, scipy and diffusers 0.42.1;
equal versions write equal bytes.
"""

import argparse
import inspect
import pathlib
import sys

import diffusers
import torch

from store import TensorStore

# Smaller than in test/goldens/data: what settings do shows in few values.
SHAPE = (1, 4, 4, 4)

STABLE_DIFFUSION = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "skip_prk_steps": True,
}

# Settings that come again and again.
EXPONENTIAL = {"use_exponential_sigmas": True}
BETA = {"use_beta_sigmas": True}
KARRAS = {"use_karras_sigmas": True}
LU = {"use_lu_lambdas": True}
ZERO_SNR = {"rescale_betas_zero_snr": True}
THRESHOLD = {"thresholding": True, "sample_max_value": 2.0}
V = {"prediction_type": "v_prediction"}
SAMPLE = {"prediction_type": "sample"}
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}
TRAILING = {"timestep_spacing": "trailing"}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
NOISE_FORM = {"algorithm_type": "dpmsolver", **SIGMA_MIN}
SDE = {"algorithm_type": "sde-dpmsolver++"}
TRAINED = {
    "num_train_timesteps": 100,
    "trained_betas": [round(0.001 + 0.0002 * i, 6) for i in range(100)],
}


class Recorder:
    """Keeps tensors for the .bin file, and every noise that a scheduler draws."""

    def __init__(self):
        self.store = TensorStore()
        self.draws = []

    def keep(self, tensors):
        """Returns the reference of tensors that are joined along their first axis."""
        return self.store.add(torch.cat(list(tensors)))

    def watch_noise(self, classes):
        """Puts a recording draw into the module of every class."""
        original = diffusers.utils.torch_utils.randn_tensor

        def recording(*arguments, **options):
            noise = original(*arguments, **options)
            self.draws.append(noise.clone())
            return noise

        for name in classes:
            module = sys.modules[getattr(diffusers, name).__module__]
            if hasattr(module, "randn_tensor"):
                module.randn_tensor = recording


def toy_model(sample, timestep):
    """The model of every case: out[i] = x[i] * 0.8 t / 1000 + 0.1 * (i mod 7 - 3)."""
    pattern = (torch.arange(sample.numel()) % 7 - 3).reshape(sample.shape).to(sample.dtype)
    return sample * (0.8 * float(timestep) / 1000) + 0.1 * pattern


def make_scheduler(case):
    config = {key: value for key, value in case["config"].items() if key != "mu"}
    scheduler = getattr(diffusers, case["class"]).from_config(config)
    shift = {"mu": case["config"]["mu"]} if "mu" in case["config"] else {}
    scheduler.set_timesteps(case["steps"], **shift)
    return scheduler


def begin_at(scheduler, index):
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)


def add_noise(scheduler, original, noise, timestep):
    add = getattr(scheduler, "add_noise", None) or (
        lambda original, noise, timestep: scheduler.scale_noise(original, timestep, noise)
    )
    return add(original, noise, timestep.reshape(1))


def draw(generator):
    return torch.randn(SHAPE, generator=generator)


def run_steps(scheduler, sample, timesteps, options):
    """Steps through the timesteps; yields the sample after each one."""
    parameters = inspect.signature(scheduler.step).parameters
    options = {key: value for key, value in options.items() if key in parameters}
    for timestep in timesteps:
        scale = getattr(scheduler, "scale_model_input", lambda sample, _: sample)
        output = toy_model(scale(sample, timestep), timestep)
        sample = scheduler.step(output, timestep, sample, **options).prev_sample
        yield sample


def describe(scheduler, timesteps):
    sigmas = getattr(scheduler, "sigmas", None)
    return {
        "timesteps": [float(timestep) for timestep in timesteps],
        "sigmas": None if sigmas is None else [float(sigma) for sigma in sigmas],
        "init_noise_sigma": float(getattr(scheduler, "init_noise_sigma", 1.0)),
        "order": scheduler.order,
    }


def record_run(case, recorder):
    """A whole text-to-image run, or an image-to-image run from where its strength begins."""
    scheduler = make_scheduler(case)
    generator = torch.Generator().manual_seed(case["seed"])
    timesteps = scheduler.timesteps
    facts = {}
    if case["kind"] == "img2img":
        steps = case["steps"]
        kept = min(int(steps * case["strength"]), steps)
        begin = (steps - kept) * scheduler.order
        timesteps = timesteps[begin:]
        original, noise = draw(generator), draw(generator)
        begin_at(scheduler, begin)
        sample = add_noise(scheduler, original, noise, timesteps[0])
        facts = {
            "begin_index": begin,
            "original": recorder.keep([original]),
            "noised": recorder.keep([sample]),
        }
    else:
        # Where the first timestep comes twice, a scheduler would otherwise begin with the second.
        begin_at(scheduler, 0)
        noise = draw(generator)
        sample = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    recorder.draws.clear()
    options = {"generator": generator}
    if case["eta"] is not None:
        options["eta"] = case["eta"]
    samples = list(run_steps(scheduler, sample, timesteps, options))
    if not all(torch.isfinite(sample).all() for sample in samples):
        raise ValueError(f"not finite: {case}")
    return {
        **facts,
        **describe(scheduler, timesteps),
        "init_noise": recorder.keep([noise]),
        "prev": recorder.keep(samples),
        "noise": recorder.keep(recorder.draws) if recorder.draws else None,
    }


def record_noising(case, recorder):
    """Noise added at the first, a middle and the last timestep."""
    scheduler = make_scheduler(case)
    generator = torch.Generator().manual_seed(case["seed"])
    original, noise = draw(generator), draw(generator)
    count = len(scheduler.timesteps)
    at = [scheduler.timesteps[index] for index in (0, count // 2, count - 1)]
    noised = [add_noise(scheduler, original, noise, timestep) for timestep in at]
    return {
        "original": recorder.keep([original]),
        "init_noise": recorder.keep([noise]),
        "at": [float(timestep) for timestep in at],
        "noised": recorder.keep(noised),
    }


def case_of(name, settings=None, **options):
    """A case of the class `nameScheduler`: 6 steps of text-to-image unless said otherwise."""
    case = {"steps": 6, "kind": "txt2img", "eta": None, "base": STABLE_DIFFUSION, **options}
    config = {**case.pop("base"), **(settings or {})}
    return {"name": name, "class": f"{name}Scheduler", **case, "config": config}


def image_case(name, settings=None, **options):
    return case_of(name, settings, kind="img2img", **{"steps": 8, "strength": 0.6, **options})


def noising_case(name, settings=None, **options):
    return case_of(name, settings, kind="add_noise", **options)


def list_cases():
    return [
        *list_sigma_cases(),
        *list_multistep_cases(),
        *list_singlestep_cases(),
        *list_unipc_cases(),
        *list_alpha_cases(),
        *list_flow_cases(),
        *list_short_cases(),
    ]


def list_sigma_cases():
    """Euler, Euler a, Heun, LMS, DPM2 and DPM2 a.

    Zero SNR goes with leading steps: from its 4096, with which the others begin, float32 loses as
    much in one step as the tolerance allows.
    """
    for name in ("EulerDiscrete", "HeunDiscrete", "LMSDiscrete"):
        yield case_of(name, EXPONENTIAL)
        yield case_of(name, {**BETA, **V})
        yield case_of(name, SAMPLE, steps=4)
    for name in ("KDPM2Discrete", "KDPM2AncestralDiscrete"):
        yield case_of(name, EXPONENTIAL, steps=4)
        yield case_of(name, BETA, steps=4)
        yield case_of(name, {}, base={}, steps=4)
    for settings in (
        KARRAS,
        {**ZERO_SNR, **V, "timestep_spacing": "leading"},
        {**ZERO_SNR, "timestep_spacing": "linspace"},
        {"interpolation_type": "log_linear"},
        {"interpolation_type": "log_linear", **KARRAS},
        {"timestep_type": "continuous", **V, **KARRAS, "sigma_min": 0.002, "sigma_max": 700.0},
        {"timestep_type": "continuous", **V, "interpolation_type": "log_linear"},
        {**EXPONENTIAL, "sigma_min": 0.1, "sigma_max": 10.0},
        {**SIGMA_MIN, "prediction_type": "original_sample"},
        {**COSINE, "timestep_spacing": "leading"},
        TRAINED,
    ):
        yield case_of("EulerDiscrete", settings)
    yield case_of("EulerDiscrete", {}, base={})
    yield case_of("EulerAncestralDiscrete", {**ZERO_SNR, **V, "timestep_spacing": "leading"})
    yield case_of("EulerAncestralDiscrete", {**KARRAS, **SIGMA_MIN})
    yield case_of("HeunDiscrete", {"clip_sample": True, "clip_sample_range": 1.5})
    yield case_of("HeunDiscrete", {**KARRAS, **SIGMA_MIN}, steps=4)
    yield case_of("HeunDiscrete", {}, base={}, steps=4)
    yield case_of("LMSDiscrete", {**KARRAS, "sigma_min": 0.1, "sigma_max": 10.0})
    yield image_case("EulerDiscrete", BETA)
    yield image_case("HeunDiscrete", {"clip_sample": True})
    yield image_case("LMSDiscrete", EXPONENTIAL)
    yield image_case("KDPM2Discrete", BETA)
    yield image_case("KDPM2AncestralDiscrete", EXPONENTIAL)
    yield noising_case("EulerDiscrete", {**ZERO_SNR, "timestep_spacing": "linspace"})
    yield noising_case("HeunDiscrete", EXPONENTIAL)


def list_multistep_cases():
    name = "DPMSolverMultistep"
    for settings in (
        {"solver_order": 1},
        {"solver_order": 3, "lower_order_final": False},
        {"solver_order": 3, **SIGMA_MIN, "lower_order_final": False},
        NOISE_FORM,
        {**NOISE_FORM, "solver_type": "heun"},
        {**NOISE_FORM, "solver_order": 3, "lower_order_final": False},
        {**NOISE_FORM, "solver_order": 1},
        {**NOISE_FORM, **V},
        {**NOISE_FORM, **SAMPLE},
        {**NOISE_FORM, **THRESHOLD},
        {**SIGMA_MIN, "algorithm_type": "sde-dpmsolver"},
        {**SIGMA_MIN, "algorithm_type": "sde-dpmsolver", "solver_type": "heun"},
        {**SDE, "solver_type": "heun"},
        {**SDE, "solver_order": 3, "lower_order_final": False},
        {**SDE, **SAMPLE},
        {"algorithm_type": "deis", "solver_type": "logrho", **SIGMA_MIN},
        {"solver_type": "bh1", "euler_at_final": True},
        EXPONENTIAL,
        BETA,
        LU,
        {**LU, **SIGMA_MIN},
        {**LU, "sigma_min": 0.1, "sigma_max": 10.0},
        {**KARRAS, **COSINE},
        {**COSINE, "lambda_min_clipped": -5.1},
        {**COSINE, "lambda_min_clipped": -5.1, **TRAILING},
        {**COSINE, "lambda_min_clipped": -5.1, "timestep_spacing": "leading"},
        {**ZERO_SNR, **V, **TRAILING},
        ZERO_SNR,
        THRESHOLD,
        {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5, **V},
        FLOW,
        {**FLOW, "flow_shift": 1.0, "solver_order": 3},
        {**KARRAS, "sigma_min": 0.1, "sigma_max": 10.0},
        TRAINED,
    ):
        yield case_of(name, settings)
    yield case_of(name, {}, base={})
    yield case_of(name, {"solver_order": 3, **SIGMA_MIN}, steps=16)
    yield image_case(name, {**SDE, "solver_order": 3, "lower_order_final": False})
    yield image_case(name, FLOW)
    yield noising_case(name, EXPONENTIAL)
    yield noising_case(name, FLOW)


def list_singlestep_cases():
    name = "DPMSolverSinglestep"
    for order in (2, 3):
        for algorithm in ({}, SDE, NOISE_FORM):
            for solver in ("midpoint", "heun"):
                yield case_of(name, {"solver_order": order, "solver_type": solver, **algorithm})
        yield case_of(name, {"solver_order": order, **SIGMA_MIN})
        yield case_of(name, {"solver_order": order, **SIGMA_MIN, "lower_order_final": True})
    for steps in (4, 5, 7):
        yield case_of(name, {"solver_order": 3, **SIGMA_MIN}, steps=steps)
    yield case_of(name, {"solver_order": 3}, steps=8)
    for settings in (
        {"solver_order": 1},
        EXPONENTIAL,
        {**BETA, **V},
        THRESHOLD,
        FLOW,
        SAMPLE,
        {**COSINE, "lambda_min_clipped": -5.1},
        {**KARRAS, **COSINE, "solver_type": "bh2", **ZERO_SNR},
    ):
        yield case_of(name, settings)
    yield image_case(name, {"solver_order": 3})
    yield image_case(name, {"solver_order": 2, **SDE}, strength=0.7)
    yield noising_case(name, BETA)


def list_unipc_cases():
    name = "UniPCMultistep"
    for settings in (
        {"solver_order": 1},
        {"solver_order": 3},
        # With bh1 and an end at zero, diffusers makes NaN of the last step.
        {"solver_order": 3, "solver_type": "bh1", **SIGMA_MIN},
        {"solver_type": "bh1", **SIGMA_MIN},
        {"solver_type": "midpoint"},
        {"solver_order": 3, **SIGMA_MIN, "lower_order_final": False},
        {"predict_x0": False, **SIGMA_MIN},
        {"predict_x0": False, **SIGMA_MIN, "solver_order": 3, "solver_type": "bh1"},
        {"predict_x0": False, **SIGMA_MIN, **V},
        {"predict_x0": False, **SIGMA_MIN, **SAMPLE},
        {"disable_corrector": [0, 2]},
        {**COSINE, "lambda_min_clipped": -5.1, "timestep_spacing": "leading"},
        KARRAS,
        {**KARRAS, **COSINE},
        {**KARRAS, **SIGMA_MIN},
        EXPONENTIAL,
        {**EXPONENTIAL, **SIGMA_MIN},
        BETA,
        {**ZERO_SNR, **V, **TRAILING},
        THRESHOLD,
        SAMPLE,
        FLOW,
        {**FLOW, "flow_shift": 1.0, **SIGMA_MIN},
    ):
        yield case_of(name, settings)
    yield image_case(name, {"solver_order": 3})
    yield noising_case(name, FLOW)


def list_alpha_cases():
    """DDIM, DDPM, PNDM, LCM and TCD."""
    wide = {"clip_sample": True, "clip_sample_range": 1.5}
    for name in ("DDIM", "DDPM", "LCM"):
        for settings in (wide, THRESHOLD, {**ZERO_SNR, **V, **TRAILING}, SAMPLE):
            yield case_of(name, settings, steps=5)
        yield case_of(name, {}, base={}, steps=5)
    yield case_of("DDIM", {"set_alpha_to_one": True}, steps=5)
    yield case_of("DDIM", {"thresholding": True, **V}, steps=5, eta=1.0)
    yield case_of("DDIM", {**TRAINED, "steps_offset": 0}, steps=5, eta=0.5)
    for variance in ("fixed_small_log", "fixed_large"):
        yield case_of("DDPM", {"variance_type": variance}, steps=5)
    for settings in ({}, V, {"set_alpha_to_one": True, "timestep_spacing": "linspace"}, TRAILING):
        yield case_of("PNDM", {"skip_prk_steps": False, **settings}, steps=5)
    yield case_of("PNDM", {}, base={}, steps=4)
    yield case_of("PNDM", {"set_alpha_to_one": True})
    yield image_case("PNDM", {"skip_prk_steps": False})
    yield case_of("LCM", {"original_inference_steps": 100, "timestep_scaling": 5.0}, steps=5)
    yield case_of("LCM", {"timestep_spacing": "linspace", **V}, steps=7)
    for eta in (0.5, 1.0):
        yield case_of("TCD", {"original_inference_steps": 100}, steps=5, eta=eta)
    yield case_of("TCD", SAMPLE, steps=5, eta=0.3)
    yield case_of("TCD", {**ZERO_SNR, **V, **TRAILING}, steps=5, eta=0.3)
    yield image_case("LCM", THRESHOLD)
    yield noising_case("DDIM", {**ZERO_SNR, **TRAILING, **V})
    yield noising_case("TCD", {"original_inference_steps": 100})


def list_flow_cases():
    name = "FlowMatchEulerDiscrete"
    base = {"num_train_timesteps": 1000, "shift": 3.0}
    for settings in (
        {"use_dynamic_shifting": True, "mu": 0.8},
        {"use_dynamic_shifting": True, "time_shift_type": "linear", "mu": 1.6},
        {"shift_terminal": 0.1},
        {"invert_sigmas": True},
        {"stochastic_sampling": True},
        KARRAS,
        EXPONENTIAL,
        BETA,
    ):
        yield case_of(name, settings, base=base)
    yield case_of(name, {}, base={})
    yield image_case(name, {"stochastic_sampling": True}, base=base)
    yield noising_case(name, {"shift_terminal": 0.1}, base=base)


def list_short_cases():
    """The shortest runs of every class. In two steps of DPM2 a, float32 loses too much."""
    names = [
        *("DDIM", "DDPM", "LCM", "TCD", "PNDM", "DPMSolverMultistep", "DPMSolverSinglestep"),
        *("UniPCMultistep", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete"),
        *("LMSDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete", "FlowMatchEulerDiscrete"),
    ]
    for name in names:
        for steps in (1, 3 if name == "KDPM2AncestralDiscrete" else 2):
            yield case_of(name, {}, steps=steps, eta=0.3 if name == "TCD" else None)
    for name in ("EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep"):
        yield case_of(name, KARRAS, steps=1)
    yield case_of("PNDM", {"timestep_spacing": "linspace"}, steps=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    folder = parser.parse_args().output
    # One thread, so that no sum depends on how many there are.
    torch.set_num_threads(1)
    plans = list_cases()
    recorder = Recorder()
    recorder.watch_noise({case["class"] for case in plans})
    cases = []
    for number, case in enumerate(plans):
        case["seed"] = 5000 + number
        record = record_noising if case["kind"] == "add_noise" else record_run
        cases.append({**case, **record(case, recorder)})
    folder.mkdir(parents=True, exist_ok=True)
    recorder.store.save(folder, "schedulers", {"shape": list(SHAPE), "cases": cases})


if __name__ == "__main__":
    main()
