"""Networks in other forms: each answers as the shipped file does, on rendered and real frames.

The reference is always the shipped ONNX file in ONNX Runtime, whatever its weights are.
"""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from api.command_line import main
from domain.errors import ConfigurationError, InputError, ResourceError
from infrastructure.conversion import PRECISIONS_OF_FORM, convert
from infrastructure.conversion.converting import _beside
from infrastructure.conversion.quantising import kept_in_float, last_convolutions
from infrastructure.conversion.source import read_source, settled
from infrastructure.conversion.tensorrt import framed
from infrastructure.inference import identify, load
from infrastructure.inference.machine import Machine
from infrastructure.inference.network_file import engine_parts, names_and_size
from infrastructure.planning import models_folder
from simulation.match import simulate
from simulation.options import SimulationOptions
from simulation.stills import write_stills
from stages.images import letterbox

ROLES = ("player", "goalkeeper", "referee", "ball")
SIZES = {"detector": (384, 640), "pitch": (384, 640)}
"""The detector takes any multiples of 32; this one costs a quarter of the intended one."""
FORMS = [("onnx", ".onnx"), ("openvino", ".xml"), ("torchscript", ".torchscript")]
SEEN = 0.05
"""A box or point below this score is nothing that the product would use."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six rendered frames."""
    match = simulate(SimulationOptions(seed=900_101, seconds=6.0, width=1280, height=720))
    folder = tmp_path_factory.mktemp("rendered")
    write_stills(match, folder, 6)
    return folder / "players" / "images"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Each shipped network in each form that runs on a CPU, in float32."""
    folder = tmp_path_factory.mktemp("exported")
    return {
        (name, form): convert(
            models_folder() / f"{name}.onnx",
            form,
            folder / f"{name}{suffix}",
            size=SIZES[name] if form == "torchscript" else None,
        )
        for name in SIZES
        for form, suffix in FORMS
    }


def pictures(folder: Path, size: tuple[int, int], prefix: str = "") -> list[np.ndarray]:
    paths = sorted(folder.glob(f"{prefix}*.jpg"))[:6]
    return [letterbox(np.asarray(cv2.imread(str(path))), *size)[0] for path in paths]


def answers(path: Path, images: list[np.ndarray], backend="auto", precision="f32"):
    size = images[0].shape[:2]
    return load(path, identify(path, backend, precision), size, threads=1).infer(images)


def assert_boxes_alike(expected: np.ndarray, actual: np.ndarray) -> None:
    """Places within 1 px where somebody is seen, scores within 0.01 everywhere."""
    np.testing.assert_allclose(actual[0, 4:], expected[0, 4:], atol=0.01)
    seen = expected[0, 4:].max(axis=0) > SEEN
    assert seen.any()
    np.testing.assert_allclose(actual[0, :4, seen], expected[0, :4, seen], atol=1.0)


def assert_points_alike(expected: np.ndarray, actual: np.ndarray) -> None:
    np.testing.assert_allclose(actual[0, :, 2], expected[0, :, 2], atol=0.01)
    seen = expected[0, :, 2] > SEEN
    assert seen.any()
    np.testing.assert_allclose(actual[0, seen, :2], expected[0, seen, :2], atol=1.0)


def assert_alike(name: str, images: list[np.ndarray], path: Path) -> None:
    reference = answers(models_folder() / f"{name}.onnx", images, "onnxruntime")
    for expected, actual in zip(reference, answers(path, images), strict=True):
        if name == "detector":
            assert_boxes_alike(expected[0], actual[0])
            continue
        assert_points_alike(expected[0], actual[0])
        np.testing.assert_allclose(actual[1], expected[1], atol=0.01)  # shares of lines


@pytest.mark.parametrize("form", [form for form, _ in FORMS])
@pytest.mark.parametrize("name", ["detector", "pitch"])
class TestParity:
    """In float32 no form may tell another story than the file that ships."""

    def test_on_rendered_frames(self, name, form, exported, rendered):
        assert_alike(name, pictures(rendered, SIZES[name]), exported[name, form])

    @pytest.mark.real
    def test_on_real_frames(self, name, form, exported, real_data):
        images = pictures(real_data / "players" / "images", SIZES[name], "a9f16c")
        assert_alike(name, images, exported[name, form])


@pytest.mark.parametrize("form", [form for form, _ in FORMS])
def test_roles_travel_with_every_form(form, exported):
    """A network whose classes are in another order would call players referees."""
    path = exported["detector", form]
    assert load(path, identify(path), SIZES["detector"], threads=1).names == ROLES


def test_half_stored_weights_are_half_the_size(tmp_path):
    """Weights stored as float16 are what ships, so nothing is lost by storing them so again."""
    source = models_folder() / "pitch.onnx"
    whole = convert(source, "openvino", tmp_path / "whole.xml")
    half = convert(source, "openvino", tmp_path / "half.xml", "f16")
    sizes = [path.with_suffix(".bin").stat().st_size for path in (half, whole)]
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "suffix", "backend"),
    [("onnx", ".onnx", "onnxruntime"), ("onnx", ".onnx", "openvino"),
     ("openvino", ".xml", "openvino")],
)  # fmt: skip
def test_in_integers_who_is_seen_stays_seen(form, suffix, backend, rendered, tmp_path):
    """Rounding moves scores; it must not lose people: the measured AP is in docs/notes."""
    size = SIZES["detector"]
    source, path = models_folder() / "detector.onnx", tmp_path / f"detector{suffix}"
    convert(source, form, path, "int8", size, rendered)
    images = pictures(rendered, size)
    reference = answers(source, images, "onnxruntime")
    for expected, actual in zip(reference, answers(path, images, backend, "int8"), strict=True):
        sure = expected[0][0, 4:].max(axis=0) > 0.5
        assert sure.any()
        apart = np.abs(actual[0][0, :4, sure] - expected[0][0, :4, sure])
        assert np.median(apart) < 1
        assert np.median(actual[0][0, 4:, sure].max(axis=-1)) > 0.4
    assert load(path, identify(path), size, threads=1).names == ROLES


def test_torchscript_takes_smaller_pictures_and_refuses_larger(exported, rendered):
    path = exported["detector", "torchscript"]
    small = pictures(rendered, (352, 640))
    (answer,) = answers(path, small)[0]
    assert answer.shape == (1, 8, 48 * 80 + 24 * 40 + 12 * 20)  # the grid of 384 by 640
    with pytest.raises(InputError, match="takes images of 640x384 pixels"):
        load(path, identify(path), (736, 1280), threads=1)


def test_torchscript_runs_without_ultralytics(exported):
    """Users who only run networks need not have the training's library."""
    code = (
        "import sys; from pathlib import Path; from infrastructure.inference import *\n"
        f"path = Path({str(exported['detector', 'torchscript'])!r})\n"
        f"load(path, identify(path), {SIZES['detector']})\n"
        "print('ultralytics' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("False\n", "")


def test_a_broken_torchscript_file_is_one_line(exported, tmp_path):
    path = tmp_path / "cut.torchscript"
    path.write_bytes(exported["pitch", "torchscript"].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.torchscript: .*cut short"):
        load(path, identify(path), SIZES["pitch"], threads=1)


def test_what_the_settled_graph_no_longer_holds():
    """TorchScript and TensorRT get no arithmetic on shapes, and the outputs' shapes are known."""
    model = settled(read_source(models_folder() / "detector.onnx", None), (384, 640))
    assert not {"Shape", "Range", "Cast", "ConstantOfShape"} & {n.op_type for n in model.graph.node}
    shape = model.graph.output[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in shape] == [1, 8, 5040]  # 48*80 + 24*40 + 12*20


def one_operator(path: Path, operator: str) -> Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w"], ["c"], name="first"),
            helper.make_node("Conv", ["c", "v"], ["d"], name="second"),
            helper.make_node(operator, ["d"], ["output0"]),
        ],
        "small",
        [value("images", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [value("output0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w"),
         numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "v")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def test_the_convolutions_that_answer_stay_in_float(tmp_path):
    """The first feeds the second alone; the second's values are the answer's."""
    model = onnx.load(str(one_operator(tmp_path / "small.onnx", "Relu")))
    assert last_convolutions(model) == ["second"]
    assert kept_in_float(model) == ["first", "second"]


def test_an_operator_without_translation_is_named(tmp_path):
    path = one_operator(tmp_path / "odd.onnx", "Sinh")
    with pytest.raises(InputError, match="the operator Sinh is not translated"):
        convert(path, "torchscript", tmp_path / "odd.torchscript", size=(32, 32))


def test_a_target_that_became_a_folder_is_told_with_the_reason(tmp_path):
    """`shutil` has no `strerror` for it: the message ended in None."""
    target = tmp_path / "a.onnx"
    target.mkdir()
    (target / "a.onnx").touch()
    with pytest.raises(ResourceError, match=r"a\.onnx: .*already exists$"):
        _beside(target, lambda path: path.touch())


class TestTensorRT:
    """What can be known without a device: the file's form, the choice, and what is refused.

    Building and running an engine has not been tried.
    """

    def test_the_file_gives_back_what_was_put_in(self, tmp_path):
        path = tmp_path / "detector.engine"
        facts = {"names": {"0": "player", "1": "ball"}, "imgsz": [736, 1280]}
        path.write_bytes(framed(facts, b"engine"))
        head, engine = engine_parts(path)
        assert (json.loads(head), engine) == (facts, b"engine")
        assert names_and_size(path) == (("player", "ball"), (736, 1280))

    def test_an_engine_alone_has_no_names(self, tmp_path):
        path = tmp_path / "bare.engine"
        path.write_bytes(b"ftrt" + bytes(100))  # as TensorRT's own trtexec writes it
        assert engine_parts(path)[1] == path.read_bytes()
        assert names_and_size(path) == ((), (None, None))

    def test_it_runs_on_cuda_alone(self, tmp_path):
        path = tmp_path / "detector.engine"
        path.write_bytes(framed({}, b"engine"))
        with_it = Machine(cuda=frozenset({"tensorrt"}))
        identity = identify(path, gpu_enabled=True, machine=with_it)
        assert (identity.backend, identity.precision) == ("tensorrt:cuda", "as_built")
        assert "runs:tensorrt:cuda:as_built" in with_it.able
        for machine, gpu in ((with_it, False), (Machine(), True)):
            with pytest.raises(ConfigurationError, match="needs gpu_enabled, a CUDA device"):
                identify(path, gpu_enabled=gpu, machine=machine)

    @pytest.mark.skipif(Machine.here().cuda != frozenset(), reason="a CUDA device is here")
    def test_where_it_cannot_be_built_it_says_so(self, tmp_path):
        with pytest.raises(ResourceError, match="TensorRT"):
            convert(models_folder() / "pitch.onnx", "tensorrt", tmp_path / "pitch.engine")
        assert list(tmp_path.iterdir()) == []


class TestCommand:
    def test_writes_a_shipped_network_by_its_name(self, tmp_path, capsys):
        path = tmp_path / "new" / "pitch.xml"
        arguments = ["export-model", "pitch", "--format", "openvino", "--out", str(path)]
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"exported: {path}\n"
        assert sorted(each.name for each in path.parent.iterdir()) == ["pitch.bin", "pitch.xml"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["none.onnx", "--out", "a.onnx"], "none.onnx: not found"),
            (["detector", "--out", "a.xml"], "onnx files end in .onnx"),
            (["detector", "--out", "a.onnx", "--precision", "bf16"], "precision=bf16"),
            (["detector", "--out", "a.onnx", "--precision", "int8"], "--calibration-images DIR"),
            (["detector", "--out", "a.onnx", "--size", "1280x700"], "multiples of 32"),
        ],
    )
    def test_bad_input_is_one_line_and_two(self, arguments, says, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["export-model", "--format", "onnx", *arguments]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1

    def test_a_folder_without_pictures_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"no \.jpg, \.png or \.bmp pictures"):
            convert(
                models_folder() / "pitch.onnx", "onnx", tmp_path / "a.onnx", "int8", images=tmp_path
            )

    def test_every_form_comes_in_float32(self):
        assert all("f32" in precisions for precisions in PRECISIONS_OF_FORM.values())
