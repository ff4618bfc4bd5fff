"""Networks as other people export them: carried over with the same answers, or refused in one line.

The networks are small and made here; the answers are compared in ONNX Runtime.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from api.command_line import main
from domain.errors import InputError
from infrastructure.conversion import convert
from infrastructure.conversion.source import size_of
from infrastructure.conversion.tensorrt import framed
from infrastructure.inference import identify, load
from infrastructure.inference.network_file import is_of_one_size, names_and_size, onnx_names
from infrastructure.planning import models_folder

SIZE = (64, 96)
RANDOM = np.random.default_rng(3)


def chain(count: int, size: tuple[Any, Any] = ("h", "w"), half: bool = False) -> Any:
    """`count` convolutions of 3x3 one after the other, none of them with a name."""
    kind = np.float16 if half else np.float32
    channels = [3, *[4] * count]
    weights, nodes, last = [], [], "images"
    for at in range(count):
        shape = (channels[at + 1], channels[at], 3, 3)
        values = RANDOM.normal(size=shape, scale=0.3).astype(kind)
        weights.append(numpy_helper.from_array(values, f"w{at}"))
        if half:
            nodes.append(helper.make_node("Cast", [f"w{at}"], [f"c{at}"], to=TensorProto.FLOAT))
        read, made = f"c{at}" if half else f"w{at}", f"x{at}"
        nodes.append(helper.make_node("Conv", [last, read], [made], pads=[1, 1, 1, 1]))
        last = made
    return network(nodes, last, weights, size)


def network(
    nodes: list[Any], output: str, weights: list[Any], size: tuple[Any, Any] = ("h", "w")
) -> Any:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, list("nchw"))],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def saved(model: Any, path: Path, **metadata: str) -> Path:
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


def answer(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    image = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    return load(path, identify(path, precision="f32"), size, threads=1).infer([image])[0][0]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), RANDOM.integers(0, 256, (*SIZE, 3), np.uint8))
    return folder


class TestStoredWeights:
    def test_casts_that_do_not_widen_stay(self, tmp_path):
        """2.75 cast to a whole number and back adds 2; as a widened weight it added 2.75. The
        float16 that is read as such too, here by its shape, stays beside its widened self."""
        nodes = [
            helper.make_node("Cast", ["part"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Cast", ["whole"], ["two"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["images", "two"], ["more"]),
            helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["half"], ["wide again"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["more", "wide"], ["most"]),
            helper.make_node("Shape", ["half"], ["sides"]),
            helper.make_node("Cast", ["sides"], ["one"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["most", "one"], ["sum"]),
            helper.make_node("Mul", ["sum", "wide again"], ["output"]),
        ]
        weights = [
            numpy_helper.from_array(np.float32(2.75), "part"),
            numpy_helper.from_array(np.float16([0.5]), "half"),
        ]
        path = saved(network(nodes, "output", weights), tmp_path / "casts.onnx")
        written = convert(path, "onnx", tmp_path / "again.onnx")
        image = np.zeros((*SIZE, 3), np.uint8)
        (given,) = load(written, identify(written), SIZE, threads=1).infer([image])[0]
        np.testing.assert_allclose(given, (2 + 0.5 + 1) * 0.5)

    def test_halves_are_widened_and_gone(self, tmp_path):
        path = saved(chain(2, half=True), tmp_path / "half.onnx")
        written = convert(path, "onnx", tmp_path / "whole.onnx")
        np.testing.assert_allclose(answer(written), answer(path), atol=1e-5)
        graph = onnx.load(str(written)).graph
        assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT}
        assert {node.op_type for node in graph.node} == {"Conv"}

    @pytest.mark.parametrize("form", ["onnx", "openvino", "torchscript"])
    def test_weights_in_a_file_of_their_own_go_along(self, form, tmp_path):
        model = chain(2)
        onnx.save(
            model, str(tmp_path / "apart.onnx"), save_as_external_data=True,
            location="weights.bin", size_threshold=0,
        )  # fmt: skip
        expected = answer(tmp_path / "apart.onnx")
        suffix = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}[form]
        size = SIZE if form == "torchscript" else None
        written = convert(tmp_path / "apart.onnx", form, tmp_path / f"one{suffix}", size=size)
        (tmp_path / "weights.bin").unlink()
        np.testing.assert_allclose(answer(written), expected, atol=1e-4)
        with pytest.raises(InputError, match=r"apart\.onnx: its weights lie elsewhere: [^\n]*$"):
            convert(tmp_path / "apart.onnx", form, tmp_path / f"two{suffix}", size=size)


class TestSize:
    @pytest.mark.parametrize(
        ("fixed", "metadata", "expected"),
        [
            (("h", "w"), {"imgsz": "[64, 96]"}, (64, 96)),  # as Ultralytics writes it
            (("h", "w"), {"imgsz": "96"}, (96, 96)),
            (("h", "w"), {"input_size": "64x96"}, (64, 96)),
            (("h", "w"), {}, (736, 1280)),
            ((64, 96), {"imgsz": "[32, 32]"}, (64, 96)),
        ],
    )
    def test_what_the_file_says_is_taken(self, fixed, metadata, expected):
        model = chain(1, fixed)
        helper.set_model_props(model, metadata)
        assert size_of(model) == expected

    def test_torchscript_is_for_the_size_in_ultralytics_metadata(self, tmp_path):
        path = saved(chain(1), tmp_path / "dynamic.onnx", imgsz="[64, 96]", names="{0: 'player'}")
        written = convert(path, "torchscript", tmp_path / "dynamic.torchscript")
        assert names_and_size(written) == (("player",), (64, 96))

    @pytest.mark.parametrize(
        ("form", "precision"), [("torchscript", "f32"), ("onnx", "int8"), ("onnx", "f32")]
    )
    def test_a_fixed_network_keeps_its_size(self, form, precision, pictures, tmp_path):
        path = saved(chain(8, SIZE), tmp_path / "fixed.onnx")
        target = tmp_path / f"made.{form}"
        images = pictures if precision == "int8" else None
        with pytest.raises(InputError, match=r"--size 640x320: the network takes .* 96x64 alone"):
            convert(path, form, target, precision, (320, 640), images)
        assert convert(path, form, target, precision, SIZE, images).is_file()

    def test_which_files_are_of_one_size(self, tmp_path):
        """What the ball's second look goes by."""
        for name, size in (("open", ("h", "w")), ("fixed", SIZE), ("low", (64, "w"))):
            path = saved(chain(1, size), tmp_path / f"{name}.onnx")
            other = convert(path, "openvino", tmp_path / f"{name}.xml")
            assert is_of_one_size(path) is is_of_one_size(other) is (name != "open")
        for suffix in (".torchscript", ".engine"):
            assert is_of_one_size(tmp_path / f"any{suffix}")
        assert not is_of_one_size(tmp_path / "any.pt")


class TestIntegers:
    def test_nodes_without_names_are_quantised(self, pictures, tmp_path):
        """Eight convolutions: the first three and the last stay in float, four do not."""
        path = saved(chain(8), tmp_path / "unnamed.onnx", imgsz=str(list(SIZE)))
        written = convert(path, "onnx", tmp_path / "int8.onnx", "int8", images=pictures)
        graph = onnx.load(str(written)).graph
        makers = {name: node.op_type for node in graph.node for name in node.output}
        rounded = [
            node for node in graph.node
            if node.op_type == "Conv" and makers.get(node.input[1]) == "DequantizeLinear"
        ]  # fmt: skip
        assert len(rounded) == 4
        expected = answer(path)
        assert np.abs(answer(written) - expected).mean() < 0.1 * np.abs(expected).mean()

    def test_where_nothing_would_be_rounded_it_says_so(self, pictures, tmp_path):
        path = saved(chain(4), tmp_path / "short.onnx")
        with pytest.raises(InputError, match="nothing to quantise"):
            convert(path, "onnx", tmp_path / "int8.onnx", "int8", SIZE, pictures)

    def test_a_size_that_the_network_cannot_take_is_one_line(self, pictures, tmp_path):
        model = chain(8)
        model.graph.output[0].name = "output"
        model.graph.node.append(helper.make_node("Reshape", ["x7", "shape"], ["output"]))
        model.graph.initializer.append(numpy_helper.from_array(np.int64([1, 4, 64, 96]), "shape"))
        path = saved(model, tmp_path / "reshaped.onnx")
        with pytest.raises(
            InputError, match=r"^ONNX Runtime cannot quantise this network: [^\n]*$"
        ):
            convert(path, "onnx", tmp_path / "int8.onnx", "int8", (32, 32), pictures)


ODD_NAMES = [
    "player ball",
    "{0: ['a']}",
    "{'a': 'player'}",
    "{[]: 1}",
    "7",
    "(" * 9999,
    "0x" + "f" * 5000,
    "{0: None}",
    "{1e999: 'a'}",
    "{0: 'a', 0.5: 'b'}",  # one would take the other's place
    "{0: 'a', '0': 'b'}",
]


class TestMetadata:
    @pytest.mark.parametrize("names", ODD_NAMES, ids=range(len(ODD_NAMES)))
    def test_odd_names_are_one_line(self, names):
        model = chain(1)
        helper.set_model_props(model, {"names": names})
        said = r"^model file odd\.onnx: the file's names: expected [^\n]{,150}$"
        with pytest.raises(InputError, match=said):
            onnx_names(model, Path("odd.onnx"))

    @pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
    def test_the_file_with_odd_names_is_named(self, backend, tmp_path):
        """Where a network is run, and where it is carried over."""
        path = saved(chain(1), tmp_path / "odd.onnx", names="7")
        with pytest.raises(InputError, match=r"odd\.onnx: the file's names: expected"):
            load(path, identify(path, backend), SIZE, threads=1)
        with pytest.raises(InputError, match=r"odd\.onnx: the file's names: expected"):
            convert(path, "openvino", tmp_path / "odd.xml")

    @pytest.mark.parametrize("size", ["axb", "64", "[0, 64]", "[64]", "[64.5, 64]", "64x-32"])
    def test_odd_sizes_are_one_line(self, size, tmp_path):
        path = saved(chain(1), tmp_path / "odd.onnx", input_size=size)
        if size == "64":  # a square
            assert size_of(onnx.load(str(path))) == (64, 64)
            return
        with pytest.raises(InputError, match=r"^the file's input_size: expected a height and a "):
            convert(path, "torchscript", tmp_path / "odd.torchscript")

    @pytest.mark.parametrize(
        ("facts", "says"),
        [
            ({"names": 7}, "names"),
            ({"names": {"a": "player"}}, "names"),
            ({"names": {"0": ["player"]}}, "names"),
            ({"imgsz": ["a", "b"]}, "imgsz"),
            ({"imgsz": [640, None]}, "imgsz"),
            ({"imgsz": {"h": 640}}, "imgsz"),
        ],
    )
    def test_odd_facts_beside_an_engine_and_in_torchscript(self, facts, says, tmp_path):
        engine, script = tmp_path / "odd.engine", tmp_path / "odd.torchscript"
        engine.write_bytes(framed(facts, b"engine"))
        with zipfile.ZipFile(script, "w") as archive:
            archive.writestr("odd/extra/config.txt", json.dumps(facts))
        for path in (engine, script):
            with pytest.raises(InputError, match=rf"{path.name}: the file's {says}: expected"):
                names_and_size(path)

    def test_one_number_is_a_square(self, tmp_path):
        path = tmp_path / "square.engine"
        path.write_bytes(framed({"imgsz": 640, "names": ["player"]}, b"engine"))
        assert names_and_size(path) == (("player",), (640, 640))

    def test_json_that_is_nested_too_deep(self, tmp_path):
        path = tmp_path / "deep.engine"
        head = b'{"names":' + b"[" * 100_000
        path.write_bytes(len(head).to_bytes(4, "little") + head + b"engine")
        with pytest.raises(InputError, match=r"deep\.engine: not such a network"):
            names_and_size(path)


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--out", "a.onnx", "--calibration-images", "."], "for --precision int8 alone"),
            (["--out", "a.onnx", "--size", "640x384"], "the onnx file takes pictures of any size"),
            (["--out", "folder.onnx"], "folder.onnx is a folder"),
            (["--out", "a.xml", "--format", "openvino"], "a.bin is a folder"),
        ],
    )
    def test_what_would_be_ignored_is_refused(self, arguments, says, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("folder.onnx", "a.bin"):
            (tmp_path / name).mkdir()
        assert main(["export-model", "detector", "--format", "onnx", *arguments]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1

    @pytest.mark.parametrize("given", ["pitch", "pitch.onnx"])
    def test_a_shipped_network_has_two_names(self, given, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["export-model", given, "--format", "onnx", "--out", "a.onnx"]) == 0
        shipped = onnx.load(str(models_folder() / "pitch.onnx"))
        written = onnx.load("a.onnx")
        assert onnx_names(written, Path("a.onnx")) == onnx_names(shipped, Path("pitch.onnx"))
