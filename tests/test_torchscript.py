"""Operators in TorchScript: each says what ONNX Runtime says, or is refused in one line.

The networks hold one operator, on random values; attributes that have a default are left out in
one case of each, as files may.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from domain.errors import InputError
from infrastructure.conversion.source import settled
from infrastructure.conversion.torchscript import OPERATORS, Graph, write_torchscript
from infrastructure.inference.torch_backend import load_network

SHAPE = (1, 3, 13, 10)
"""Odd and even sides, so that windows of two and three do not come out even."""
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)
BIAS = np.array([0.1, -0.2, 0.3], np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def network(operator: str, *rest: np.ndarray | None, opset: int = 17, **attributes: Any) -> Any:
    """`operator` on the image and on the constants `rest`; None leaves an input out."""
    names = [f"c{at}" if value is not None else "" for at, value in enumerate(rest)]
    made = helper.make_node(operator, ["images", *names], ["output"], **attributes)
    return of_nodes([made], dict(zip(names, rest, strict=True)), opset)


def of_nodes(nodes: list[Any], constants: dict[str, Any], opset: int = 17) -> Any:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items() if v is not None],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def by_onnxruntime(model: Any) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"images": images()})[0])


def by_torch(model: Any) -> np.ndarray:
    import torch

    return Graph(model)(torch.from_numpy(images())).numpy()


ALIKE = {
    "add": network("Add", BIAS.reshape(3, 1, 1)),
    "average pool": network("AveragePool", kernel_shape=[3, 3]),
    "average pool, padded": network(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    ),
    "average pool, padding counted": network(
        "AveragePool", kernel_shape=[3, 2], pads=[1, 0, 1, 0], count_include_pad=1
    ),
    "clip": network("Clip", np.float32(-0.5), np.float32(0.5)),
    "clip above alone": network("Clip", None, np.float32(0.5)),
    "clip nothing": network("Clip"),
    "concat, counted from the end": network("Concat", images(), axis=-1),
    "convolution, nothing said": network("Conv", KERNEL),
    "convolution": network(
        "Conv", KERNEL, BIAS, strides=[2, 1], pads=[2, 1, 2, 1], dilations=[2, 1]
    ),
    "convolution of each channel": network("Conv", KERNEL[:, :1], group=3),
    "convolution, valid": network("Conv", KERNEL, auto_pad="VALID"),
    "divide": network("Div", BIAS.reshape(3, 1, 1)),
    "erf": network("Erf"),
    "gather, from the end": network(
        "GatherElements", whole(*[-1, 2, 0, -3] * 30).reshape(1, 3, 4, 10), axis=2
    ),
    "layer norm, nothing said": network("LayerNormalization", np.arange(10, dtype=np.float32)),
    "layer norm of two axes": network(
        "LayerNormalization", np.float32([2.0]), np.float32([0.5]), axis=2, epsilon=0.1
    ),
    "max pool, nothing said": network("MaxPool", kernel_shape=[3, 3]),
    "max pool": network("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max pool, rounded up": network("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max pool, rounded up and padded": network(
        "MaxPool", kernel_shape=[3, 3], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1
    ),
    "max pool, dilated": network("MaxPool", kernel_shape=[3, 3], dilations=[2, 3]),
    "max pool, rounded up and dilated": network(
        "MaxPool", kernel_shape=[3, 3], strides=[2, 2], dilations=[2, 2], ceil_mode=1
    ),
    "multiply matrices": network("MatMul", np.ones((10, 4), np.float32)),
    "multiply": network("Mul", np.float32(2)),
    "mean, nothing said": network("ReduceMean"),
    "mean of axes": network("ReduceMean", axes=[-1, 2], keepdims=0),
    "mean of axes, as of opset 18": network("ReduceMean", whole(2, 3), opset=18),
    "relu": network("Relu"),
    "reshape": network("Reshape", whole(0, -1, 5)),
    "resize by scales": network(
        "Resize", None, np.float32([1, 1, 2, 1.5]), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor", cubic_coeff_a=-0.75,
    ),
    "resize by a scale whose sides are all but whole": network(
        "Resize", None, np.float32([1, 1, 1.3, 1.3]), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ),
    "resize by a scale whose places are all but whole": network(
        "Resize", None, np.float32([1, 1, 1.7, 1.7]), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ),
    "resize to sizes": network(
        "Resize", None, None, whole(1, 3, 26, 17), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ),
    "resize to sizes, places all but whole": network(
        "Resize", None, None, whole(1, 3, 26, 205), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ),
    "sigmoid": network("Sigmoid"),
    "slice, nothing said": network("Slice", whole(0, 1), whole(1, 99)),
    "slice": network("Slice", whole(-9, 1), whole(2**62, -1), whole(-2, 3), whole(3, 2)),
    "softmax, nothing said": network("Softmax"),
    "softmax": network("Softmax", axis=1),
    "squeeze, nothing said": network("Squeeze"),
    "squeeze": network("Squeeze", whole(-4)),
    "subtract": network("Sub", BIAS.reshape(3, 1, 1)),
    "transpose, nothing said": network("Transpose"),
    "transpose": network("Transpose", perm=[0, 2, 3, 1]),
    "unsqueeze, counted from the end": network("Unsqueeze", whole(-1, 0, -3)),
}  # fmt: skip


@pytest.mark.parametrize("model", ALIKE.values(), ids=ALIKE.keys())
def test_says_what_onnxruntime_says(model: Any) -> None:
    np.testing.assert_allclose(by_torch(model), by_onnxruntime(model), atol=2e-5)


def test_matrices_of_gemm_and_the_greatest() -> None:
    """Gemm takes matrices and ArgMax gives whole numbers, so each needs another beside it."""
    weight = np.ones((13, 5), np.float32)
    flat = helper.make_node("Reshape", ["images", "shape"], ["flat"])
    for attributes, constants in (
        ({}, {"shape": whole(-1, 13), "w": weight}),
        ({"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0},
         {"shape": whole(13, -1), "w": weight.T.copy(), "b": np.float32([1, 2, 3, 4, 5])}),
    ):  # fmt: skip
        names = ["flat", *(name for name in constants if name != "shape")]
        model = of_nodes(
            [flat, helper.make_node("Gemm", names, ["output"], **attributes)], constants
        )
        np.testing.assert_allclose(by_torch(model), by_onnxruntime(model), atol=2e-5)
    greatest = helper.make_node("ArgMax", ["images"], ["at"], axis=2)
    gathered = helper.make_node("GatherElements", ["images", "at"], ["output"], axis=2)
    model = of_nodes([greatest, gathered], {})
    np.testing.assert_allclose(by_torch(model), images().max(axis=2, keepdims=True))


@pytest.mark.parametrize("opset", [17, 18])
def test_split_by_lengths_and_into_equal_parts(opset: int) -> None:
    """From opset 18 on the number of parts is said, before it is the number of outputs."""
    said = {"num_outputs": 2} if opset == 18 else {}
    for given, constants, attributes in (
        (["images", "lengths"], {"lengths": whole(4, 6)}, {}),
        (["images"], {}, said),
    ):
        split = helper.make_node("Split", given, ["first", "second"], axis=3, **attributes)
        model = of_nodes(
            [split, helper.make_node("Relu", ["second"], ["output"])], constants, opset
        )
        np.testing.assert_allclose(by_torch(model), by_onnxruntime(model))


REFUSED = {
    "average pool, rounded up": (
        network("AveragePool", kernel_shape=[2, 2], ceil_mode=1), "AveragePool with ceil_mode=1",
    ),
    "average pool, dilated": (
        network("AveragePool", kernel_shape=[2, 2], dilations=[2, 2], opset=19), "dilations",
    ),
    "the last greatest": (network("ArgMax", select_last_index=1), "select_last_index=1"),
    "uneven padding": (network("Conv", KERNEL, pads=[0, 0, 1, 1]), "uneven padding"),
    "padding by itself": (network("Conv", KERNEL, auto_pad="SAME_UPPER"), "auto_pad=SAME_UPPER"),
    "resize between pixels": (
        network("Resize", None, np.float32([1, 1, 2, 2]), mode="linear"), "nearest pixel alone",
    ),
    "resize of channels": (
        network(
            "Resize", None, np.float32([1, 2, 2, 2]), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
        "height and width alone",
    ),
    "resize, nothing said": (
        network("Resize", None, np.float32([1, 1, 2, 2])), "nearest pixel alone",
    ),
    "slice backwards": (
        network("Slice", whole(9), whole(0), whole(3), whole(-1)), "Slice is not translated here",
    ),
    "old opset": (network("Relu", opset=12), "opset 12 is not translated"),
    "too new an operator": (network("LayerNormalization", BIAS, opset=13), "opset 13 has no Layer"),
    "other operator": (network("Sinh"), "the operator Sinh is not translated"),
}  # fmt: skip


@pytest.mark.parametrize(("model", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_be_told_wrong_is_refused(model: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says) as refused:
        write_torchscript(model, {}, tmp_path / "odd.torchscript")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_places_of_the_greatest_are_refused() -> None:
    pool = helper.make_node("MaxPool", ["images"], ["output", "places"], kernel_shape=[2, 2])
    with pytest.raises(InputError, match="MaxPool with two outputs"):
        by_torch(of_nodes([pool], {}))


def test_every_operator_is_compared() -> None:
    """A handler without a comparison would be believed unseen."""
    compared = {node.op_type for model in ALIKE.values() for node in model.graph.node}
    assert set(OPERATORS) - compared == {"ArgMax", "Gemm", "Split"}  # compared by themselves


def test_a_written_file_says_the_same(tmp_path: Path) -> None:
    """Recorded at once with what is worked out before: the way that `export-model` goes."""
    import torch

    model = settled(ALIKE["max pool, rounded up and padded"], SHAPE[2:])
    write_torchscript(model, {"names": {}}, tmp_path / "pool.torchscript")
    with torch.inference_mode():
        answer = load_network(tmp_path / "pool.torchscript")[0](torch.from_numpy(images()))
    np.testing.assert_allclose(answer.numpy(), by_onnxruntime(model), atol=2e-5)
