"""Networks from files: one contract over the backends, and refusals that say what to do.

The networks are made here with known arithmetic, so that every expected number can be checked by
hand; the shipped ones are run in test_player_detection and test_pitch.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from domain.errors import ConfigurationError, InputError
from infrastructure.inference import identify, load, notices, threads_per_process
from infrastructure.inference.machine import Machine

ROOT = Path(__file__).resolve().parents[1]
ON_CPU = [("openvino", "f32"), ("onnxruntime", "f32")]
# answers: 2 * red + 1, and green + blue, with shares of 255
WEIGHTS = np.array([[2, 0, 0], [0, 1, 1]], np.float32).reshape(2, 3, 1, 1)
BIAS = np.array([1, 0], np.float32)


def write_network(
    path: Path, size: tuple[int | str, int | str] = ("h", "w"), names: str = ""
) -> Path:
    """One 1x1 convolution with WEIGHTS and BIAS, for images of `size`."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "w", "b"], ["output0"])],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 2, *size])],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")],
    )
    return _save(graph, path, names)


def write_quantised(path: Path) -> Path:
    """The same with its input rounded to 8 bits (scale 1/128) before the convolution."""
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            helper.make_node("Conv", ["d", "w", "b"], ["output0"]),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 2, "h", "w"])],
        [
            numpy_helper.from_array(WEIGHTS, "w"),
            numpy_helper.from_array(BIAS, "b"),
            numpy_helper.from_array(np.float32(1 / 128), "scale"),
            numpy_helper.from_array(np.uint8(0), "zero"),
        ],
    )
    return _save(graph, path, "")


def _save(graph: onnx.GraphProto, path: Path, names: str) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "colours.onnx")


def picture(blue: int, green: int, red: int, size: tuple[int, int] = (32, 64)) -> np.ndarray:
    return np.full((*size, 3), (blue, green, red), np.uint8)


@pytest.mark.parametrize(("backend", "precision"), ON_CPU)
class TestContract:
    """What every adapter promises."""

    def test_takes_bgr_bytes_and_gives_the_network_rgb_shares(self, network, backend, precision):
        model = load(network, identify(network, backend, precision), (32, 64), threads=1)
        (answer,) = model.infer([picture(blue=51, green=102, red=255)])[0]
        assert answer.dtype == np.float32
        assert answer.shape == (1, 2, 32, 64)
        np.testing.assert_allclose(answer[0, 0], 2 * 255 / 255 + 1, rtol=1e-6)
        np.testing.assert_allclose(answer[0, 1], 102 / 255 + 51 / 255, rtol=1e-6)

    def test_many_at_once_on_any_threads_equal_one_by_one(self, network, backend, precision):
        identity = identify(network, backend, precision)
        images = list(np.random.default_rng(0).integers(0, 256, (5, 32, 64, 3), np.uint8))
        one = load(network, identity, (32, 64), threads=1)
        two = load(network, identity, (32, 64), threads=2)
        alone = [one.infer([image])[0][0] for image in images]
        for together in (one.infer(images), two.infer(images), two.infer(images)):
            assert [a.tobytes() for a in alone] == [a.tobytes() for (a,) in together]

    def test_no_image_no_answer(self, network, backend, precision):
        model = load(network, identify(network, backend, precision), (32, 64), threads=1)
        assert len(model.infer([])) == 0

    def test_smaller_images_keep_their_coordinates_in_a_network_of_fixed_size(
        self, tmp_path, backend, precision
    ):
        path = write_network(tmp_path / "fixed.onnx", (64, 96))
        model = load(path, identify(path, backend, precision), (32, 64), threads=1)
        image = picture(0, 0, 0)
        image[3, 5] = (0, 0, 255)
        (answer,) = model.infer([image])[0]
        assert answer.shape == (1, 2, 64, 96)
        assert answer[0, 0, 3, 5] == pytest.approx(3)
        assert answer[0, 0, 40, 80] == pytest.approx(2 * 114 / 255 + 1)  # the grey bar

    def test_larger_images_are_refused_with_both_sizes(self, tmp_path, backend, precision):
        path = write_network(tmp_path / "fixed.onnx", (32, 64))
        with pytest.raises(InputError, match="takes images of 64x32 pixels, these would be 128x64"):
            load(path, identify(path, backend, precision), (64, 128), threads=1)

    def test_names_come_from_the_file(self, tmp_path, backend, precision):
        path = write_network(tmp_path / "named.onnx", names="{1: 'ball', 0: 'goalkeeper'}")
        model = load(path, identify(path, backend, precision), (32, 64), threads=1)
        assert model.names == ("goalkeeper", "ball")

    def test_a_truncated_file_is_one_line(self, network, backend, precision):
        network.write_bytes(network.read_bytes()[:-40])
        identity = identify(network, backend, precision)
        with pytest.raises(InputError) as refusal:
            load(network, identity, (32, 64), threads=1)
        assert str(network) in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_another_number_of_channels_is_refused(self, tmp_path, backend, precision):
        grey = helper.make_graph(
            [helper.make_node("Relu", ["images"], ["output0"])],
            "grey",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 1, 32, 64])],
            [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, 32, 64])],
        )
        path = _save(grey, tmp_path / "grey.onnx", "")
        with pytest.raises(InputError, match=r"expected an input \(1, 3, height, width\)"):
            load(path, identify(path, backend, precision), (32, 64), threads=1)


class TestIdentity:
    """A backend and a precision are chosen once, by a fixed order, before anything is loaded."""

    def test_the_default_on_a_cpu_is_openvino_in_the_fastest_native_precision(self, network):
        identity = identify(network)
        assert identity.backend == "openvino"
        assert identity.precision == ("bf16" if Machine.here().bf16 else "f32")

    def test_the_hash_is_of_the_bytes_not_of_the_name(self, network):
        renamed = network.rename(network.with_name("other.onnx"))
        before = identify(renamed).sha256
        write_network(renamed, names="['x']")
        assert identify(renamed).sha256 != before
        write_network(renamed)
        assert identify(renamed).sha256 == before

    def test_weights_in_a_file_of_their_own_are_part_of_it(self, network):
        before = identify(network).sha256
        network.with_name("colours.onnx.data").write_bytes(b"weights")
        assert identify(network).sha256 != before

    @pytest.mark.parametrize(
        ("backend", "precision", "says"),
        [
            ("torch", "auto", "runs on openvino, onnxruntime, not on 'torch'"),
            ("onnxruntime", "bf16", "onnxruntime computes in f32, int8"),
            ("openvino", "int8", "is not quantised"),
        ],
    )
    def test_what_cannot_be_is_refused_with_what_can(self, network, backend, precision, says):
        with pytest.raises(ConfigurationError, match=says):
            identify(network, backend, precision)

    def test_bf16_needs_a_cpu_that_has_it(self, network):
        assert identify(network, machine=Machine(bf16=False)).precision == "f32"
        assert identify(network, machine=Machine(bf16=True)).precision == "bf16"
        with pytest.raises(ConfigurationError, match="no bf16 arithmetic"):
            identify(network, "openvino", "bf16", machine=Machine(bf16=False))

    def test_a_cluster_takes_what_half_of_its_workers_have(self):
        fast = Machine(bf16=True, cuda=frozenset({"torch"})).able
        plain = Machine().able
        assert Machine.of([fast, plain]) == Machine(bf16=True, cuda=frozenset({"torch"}))
        assert Machine.of([fast, plain, plain]) == Machine()

    def test_missing_and_foreign_files(self, tmp_path):
        with pytest.raises(InputError, match="not found"):
            identify(tmp_path / "none.onnx")
        (tmp_path / "weights.safetensors").write_bytes(b"x")
        with pytest.raises(InputError, match=r"expected one of \.onnx, \.xml, \.pt"):
            identify(tmp_path / "weights.safetensors")

    def test_a_file_that_changed_since_is_refused(self, network):
        identity = identify(network)
        write_network(network, names="['x']")
        with pytest.raises(InputError, match="changed since the match was planned"):
            load(network, identity, (32, 64))

    def test_gpu_without_cuda_runs_on_the_cpu_and_says_so_once(self, network):
        machine = Machine(bf16=True)
        identity = identify(network, gpu_enabled=True, machine=machine)
        assert identity == identify(network, machine=machine)
        assert notices(identity, False, machine) == []
        (notice,) = notices(identity, True, machine)
        assert "no CUDA device found; running on the CPU by openvino" in notice

    def test_cuda_is_part_of_the_identity(self, tmp_path):
        """Another device class gives other bytes, so its results need another key."""
        machine = Machine(cuda=frozenset({"torch"}))
        checkpoint = tmp_path / "weights.pt"
        checkpoint.write_bytes(b"never loaded here")
        identity = identify(checkpoint, gpu_enabled=True, machine=machine)
        assert (identity.backend, identity.precision) == ("torch:cuda", "f32")
        assert identify(checkpoint, machine=machine).backend == "openvino"
        assert notices(identity, True, machine) == []

    def test_threads_times_processes_never_exceed_the_cores(self):
        cores = len(os.sched_getaffinity(0))
        assert threads_per_process(1) == cores
        assert threads_per_process(cores) == 1
        assert threads_per_process(10 * cores) == 1


def test_bf16_stays_within_its_seven_bits_of_mantissa(network):
    if not Machine.here().bf16:
        with pytest.raises(ConfigurationError, match="no bf16"):
            identify(network, precision="bf16")
        return
    model = load(network, identify(network, precision="bf16"), (32, 64), threads=1)
    (answer,) = model.infer([picture(blue=51, green=102, red=255)])[0]
    np.testing.assert_allclose(answer[0, :, 0, 0], [3.0, 0.6], rtol=2**-7)


def test_int8_takes_a_network_that_is_quantised(tmp_path):
    path = write_quantised(tmp_path / "quantised.onnx")
    for backend in ("openvino", "onnxruntime"):
        model = load(path, identify(path, backend, "int8"), (32, 64), threads=1)
        (answer,) = model.infer([picture(blue=0, green=100, red=255)])[0]
        # green: 100 / 255 * 128 = 50.2, rounded to 50 / 128
        np.testing.assert_allclose(answer[0, 1], 50 / 128, rtol=1e-5)


def test_an_openvino_file_runs_and_its_weights_count(network, tmp_path):
    import openvino

    converted = openvino.Core().read_model(network)
    converted.set_rt_info("goal_keeper ball", ["model_info", "labels"])
    path = tmp_path / "colours.xml"
    openvino.save_model(converted, path, compress_to_fp16=False)
    identity = identify(path, "auto", "f32")
    model = load(path, identity, (32, 64), threads=1)
    assert model.names == ("goal keeper", "ball")
    (answer,) = model.infer([picture(blue=51, green=102, red=255)])[0]
    np.testing.assert_allclose(answer[0, :, 0, 0], [3.0, 0.6], rtol=1e-6)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[::-1])
    assert identify(path, "auto", "f32").sha256 != identity.sha256
    weights.unlink()
    with pytest.raises(InputError, match="No such file"):
        identify(path)


def test_the_cpu_default_loads_neither_torch_nor_the_telemetry(network):
    code = (
        "import sys; from pathlib import Path; from infrastructure.inference import *\n"
        f"path = Path({str(network)!r}); load(path, identify(path), (32, 64))\n"
        "loaded = {'torch', 'ultralytics', 'onnxruntime', 'openvino_telemetry.main'}\n"
        "print(sorted(loaded & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")


HOSTILE = """
import pickle, sys, zipfile
class Hostile:
    def __reduce__(self):
        return (open, (sys.argv[2], "w"))
import torch
torch.save({"model": Hostile()}, sys.argv[1])
"""

CHECKPOINT = """
import os, sys
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
import torch
from ultralytics.nn.tasks import DetectionModel
torch.manual_seed(0)
model = DetectionModel("yolov8n.yaml", nc=4, verbose=False)
model.names = dict(enumerate(("player", "goalkeeper", "referee", "ball")))
torch.save({"model": model, "train_args": {}}, sys.argv[1])
"""


def run_python(code: str, *arguments: object) -> None:
    command = [sys.executable, "-W", "ignore", "-c", code, *(str(each) for each in arguments)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "roles.pt"
    run_python(CHECKPOINT, path)
    return path


@pytest.mark.slow
class TestCheckpoints:
    """`.pt` files: loaded without running what is in them, exported once."""

    def test_openvino_and_torch_agree(self, checkpoint, tmp_path):
        image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
        answers = []
        for backend in ("openvino", "onnxruntime", "torch"):
            identity = identify(checkpoint, backend, "f32")
            model = load(checkpoint, identity, (64, 96), threads=1, cache=tmp_path)
            assert model.names == ("player", "goalkeeper", "referee", "ball")
            (answer,) = model.infer([image])[0]
            answers.append(answer)
        # a cell of 8, 16 and 32 pixels: 8 * 12 + 4 * 6 + 2 * 3 = 126 anchors
        assert all(answer.shape == (1, 8, 126) for answer in answers)
        np.testing.assert_allclose(answers[0][0, :4], answers[2][0, :4], atol=0.05)
        np.testing.assert_allclose(answers[0][0, 4:], answers[2][0, 4:], atol=1e-3)
        np.testing.assert_allclose(answers[1], answers[0], atol=0.05)

    def test_exported_once_and_again_where_the_cache_is_broken(self, checkpoint, tmp_path):
        identity = identify(checkpoint, "openvino", "f32")
        load(checkpoint, identity, (64, 96), threads=1, cache=tmp_path)
        (kept,) = tmp_path.iterdir()
        assert kept.name == f"{identity.sha256}-64x96.onnx"
        before = kept.stat().st_mtime_ns
        load(checkpoint, identity, (64, 96), threads=1, cache=tmp_path)
        assert kept.stat().st_mtime_ns == before
        kept.write_bytes(kept.read_bytes()[:5000])
        load(checkpoint, identity, (64, 96), threads=1, cache=tmp_path)
        assert list(tmp_path.iterdir()) == [kept]

    @pytest.mark.parametrize("backend", ["openvino", "torch"])
    def test_code_in_a_checkpoint_is_not_run(self, tmp_path, backend):
        hostile, trace = tmp_path / "hostile.pt", tmp_path / "trace"
        run_python(HOSTILE, hostile, trace)
        identity = identify(hostile, backend, "f32")
        with pytest.raises(InputError, match="not an Ultralytics checkpoint") as refusal:
            load(hostile, identity, (64, 96), threads=1, cache=tmp_path / "cache")
        assert "\n" not in str(refusal.value)
        assert not trace.exists()
