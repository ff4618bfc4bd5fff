"""A GPU that runs full or fails. There need be none here: what stands in raises as CUDA does."""

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from application.stage import Image, ModelIdentity
from domain.errors import (
    ConfigurationError,
    DeviceLostError,
    DeviceMemoryError,
    InputError,
    ResourceError,
)
from infrastructure.inference import device, load, machine, onnxruntime_backend
from infrastructure.inference.device import device_broken, device_errors, memory_fraction
from infrastructure.inference.fitting import FittingModel
from infrastructure.inference.machine import CudaDevice, Machine
from infrastructure.inference.selection import sha256_of

TORCH_FULL = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 15.77 GiB of "
    "which 9.12 MiB is free. See documentation for Memory Management"
)
ONNXRUNTIME_FULL = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
    "node. Name:'/c' Status Message: bfc_arena.cc:376 void* onnxruntime::BFCArena::"
    "AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 2211"
)
SIZE = (4, 6)


@pytest.fixture(autouse=True)
def _healthy_device() -> Iterator[None]:
    """That a device failed is kept for the whole process; other tests must not see it."""
    device._broken.clear()
    yield
    device._broken.clear()


def pictures(count: int) -> list[Image]:
    return list(np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), np.uint8))


class Held:
    """What a call has on the device."""


class SmallDevice:
    """Answers with each image's sum; full from `room` images at once on."""

    names = ("player",)

    def __init__(self, room: int, room_when_freed: int | None = None) -> None:
        self.room = room
        self.room_when_freed = room if room_when_freed is None else room_when_freed
        self.asked: list[int] = []
        self.alive_when_freed: list[bool] = []
        self._last: Callable[[], Held | None] = lambda: None

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[Any, ...]]:
        self.asked.append(len(images))
        held = Held()
        self._last = weakref.ref(held)
        with device_errors():
            if len(images) > self.room:
                raise RuntimeError(TORCH_FULL)
        return [(image.sum(dtype=np.float32),) for image in images]

    def free(self) -> None:
        self.alive_when_freed.append(self._last() is not None)
        self.room = self.room_when_freed


class TestFewerAtOnce:
    def test_halves_until_they_fit_and_remembers_it(self) -> None:
        small = SmallDevice(room=3)
        model = FittingModel(small)
        expected = SmallDevice(room=8).infer(pictures(8))
        assert model.infer(pictures(8)) == expected
        assert small.asked == [8, 4, 2, 2, 2, 2]
        small.asked.clear()
        assert model.infer(pictures(8)) == expected
        assert small.asked == [2, 2, 2, 2]

    @pytest.mark.parametrize("room", [1, 2, 3, 5, 7])
    @pytest.mark.parametrize("count", [0, 1, 7])
    def test_answers_are_those_of_one_call_in_the_same_order(self, room: int, count: int) -> None:
        assert FittingModel(SmallDevice(room)).infer(pictures(count)) == list(
            SmallDevice(room=7).infer(pictures(count))
        )

    def test_gives_up_when_one_image_does_not_fit(self) -> None:
        small = SmallDevice(room=0)
        with pytest.raises(DeviceMemoryError, match="memory is full"):
            FittingModel(small).infer(pictures(4))
        assert small.asked == [4, 2, 1]

    def test_one_image_is_tried_again_when_what_was_only_kept_is_freed(self) -> None:
        small = SmallDevice(room=0, room_when_freed=1)
        assert len(FittingModel(small).infer(pictures(1))) == 1
        assert small.asked == [1, 1]

    def test_frees_when_nothing_holds_the_failed_call_any_more(self) -> None:
        # An exception at hand keeps its frames, and with them the tensors of the failed call.
        small = SmallDevice(room=1)
        gc.disable()
        try:
            FittingModel(small).infer(pictures(4))
        finally:
            gc.enable()
        assert small.alive_when_freed == [False, False]

    def test_another_error_is_nobodys_memory(self) -> None:
        class Faulty(SmallDevice):
            def infer(self, images: Sequence[Image]) -> Sequence[tuple[Any, ...]]:
                self.asked.append(len(images))
                raise ValueError("shapes differ")

        faulty = Faulty(room=8)
        with pytest.raises(ValueError, match="shapes differ"):
            FittingModel(faulty).infer(pictures(4))
        assert faulty.asked == [4]

    def test_names_are_the_networks(self) -> None:
        assert FittingModel(SmallDevice(1)).names == ("player",)


class TestErrors:
    """Messages as the libraries write them: nothing else tells the cases apart."""

    @pytest.mark.parametrize(
        "raised",
        [
            RuntimeError(TORCH_FULL),
            RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            onnxruntime_errors.RuntimeException(ONNXRUNTIME_FULL),
            onnxruntime_errors.Fail("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc"),
            onnxruntime_errors.RuntimeException(
                "Available memory of 100 is smaller than requested bytes of 2211840"
            ),
        ],
        ids=str,
    )
    def test_full_memory(self, raised: Exception) -> None:
        with pytest.raises(DeviceMemoryError) as caught, device_errors():
            raise raised
        assert "\n" not in str(caught.value)
        assert "GPU_MEMORY_FRACTION" in str(caught.value)
        assert not device_broken()

    @pytest.mark.parametrize(
        "raised",
        [
            RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA"),
            RuntimeError("CUDA error: unknown error"),
            RuntimeError("CUDA error: uncorrectable ECC error encountered"),
            RuntimeError("CUDA error: an illegal memory access was encountered"),
            RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
            RuntimeError("No CUDA GPUs are available"),
            onnxruntime_errors.Fail("CUDA failure 700: an illegal memory access ; GPU=0"),
            onnxruntime_errors.Fail("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0"),
        ],
        ids=str,
    )
    def test_a_failed_device_is_the_machines_fault_and_ends_the_process(
        self, raised: Exception
    ) -> None:
        # ResourceError is what another worker tries again; this process can do nothing more.
        with pytest.raises(DeviceLostError, match=r"the GPU failed \(") as caught, device_errors():
            raise raised
        assert isinstance(caught.value, ResourceError)
        assert "\n" not in str(caught.value)
        assert device_broken()

    @pytest.mark.parametrize(
        "raised",
        [
            RuntimeError("Expected all tensors to be on the same device, found cuda:0 and cpu!"),
            onnxruntime_errors.InvalidArgument("Got invalid dimensions for input: images"),
            InputError("model file cuda.pt: CUDA error in its name"),
        ],
        ids=str,
    )
    def test_what_is_not_the_devices_stays_as_it_is(self, raised: Exception) -> None:
        with pytest.raises(type(raised)) as caught, device_errors():
            raise raised
        assert caught.value is raised
        assert not device_broken()


def test_a_worker_without_torch_does_not_offer_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The light image has none; a plan that needs it would fail there instead of waiting.
    assert "runs:torch:f32" in Machine().able
    monkeypatch.setattr(machine, "_is_installed", lambda package: package != "torch")
    monkeypatch.setattr(machine, "cuda_devices", lambda: (CudaDevice("stand-in", 1000),))
    assert not any("torch" in word for word in Machine().able)
    assert machine._cuda_backends() == frozenset()


class TestShareOfMemory:
    def test_comes_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GPU_MEMORY_FRACTION", "0.25")
        assert memory_fraction() == 0.25
        monkeypatch.setenv("GPU_MEMORY_FRACTION", "")  # as good as none
        assert memory_fraction() == 0.9

    @pytest.mark.parametrize("text", ["0", "1.1", "half", "nan"])
    def test_what_is_no_share_is_refused(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GPU_MEMORY_FRACTION", text)
        with pytest.raises(ConfigurationError, match=rf"GPU_MEMORY_FRACTION={text}: must be"):
            memory_fraction()


@pytest.fixture
def network(tmp_path: Path) -> Path:
    shape = [1, 3, *SIZE]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["images"], ["output0"])],
        "negative",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape)],
    )
    path = tmp_path / "negative.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


class CudaSession:
    """ONNX Runtime's session as on a CUDA device: the real one of the CPU stands behind it."""

    def __init__(self, path: str, options: Any, providers: Sequence[tuple[str, Any]]) -> None:
        self.given = providers[0]
        self.full: list[str] = []
        self.shrinks: list[bool] = []
        self._session = _RealSession(path, options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return [self.given[0], "CPUExecutionProvider"]

    def get_inputs(self) -> Any:
        return self._session.get_inputs()

    def run(self, names: Any, feed: Any, options: Any) -> Any:
        entry = "memory.enable_memory_arena_shrinkage"
        self.shrinks.append(bool(options) and options.get_run_config_entry(entry) == "gpu:0")
        if self.full:
            raise onnxruntime_errors.RuntimeException(self.full.pop())
        return self._session.run(names, feed)


_RealSession = onnxruntime.InferenceSession


class TestOnnxRuntime:
    @pytest.fixture
    def sessions(self, monkeypatch: pytest.MonkeyPatch) -> list[CudaSession]:
        made: list[CudaSession] = []

        def session(*given: Any, **options: Any) -> CudaSession:
            made.append(CudaSession(*given, **options))
            return made[-1]

        devices = (CudaDevice("stand-in", 1000), CudaDevice("not ours", 5000))
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime_backend, "cuda_devices", lambda: devices)
        return made

    def loaded(self, network: Path, backend: str) -> Any:
        return load(network, ModelIdentity(sha256_of(network), backend, "f32"), SIZE, threads=1)

    def test_frees_its_arena_and_gives_the_same_answers(
        self, network: Path, sessions: list[CudaSession]
    ) -> None:
        model = self.loaded(network, "onnxruntime:cuda")
        expected = [answer.tobytes() for (answer,) in model.infer(pictures(4))]
        sessions[0].full = [ONNXRUNTIME_FULL]
        sessions[0].shrinks.clear()
        assert [answer.tobytes() for (answer,) in model.infer(pictures(4))] == expected
        # the first failed; the next run returns what the arena kept; the rest need not
        assert sessions[0].shrinks == [False, True, False, False, False]

    @pytest.mark.usefixtures("sessions")
    def test_a_full_device_is_not_called_a_broken_file(
        self, network: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise onnxruntime_errors.RuntimeException(ONNXRUNTIME_FULL)

        monkeypatch.setattr(onnxruntime, "InferenceSession", full)
        with pytest.raises(DeviceMemoryError):
            self.loaded(network, "onnxruntime:cuda")

    def test_takes_its_share_of_the_first_device(
        self, network: Path, sessions: list[CudaSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GPU_MEMORY_FRACTION", "0.5")
        self.loaded(network, "onnxruntime:cuda")
        provider, options = sessions[0].given
        assert (provider, options["gpu_mem_limit"]) == ("CUDAExecutionProvider", 500)

    def test_on_a_cpu_nothing_is_limited(self, network: Path, sessions: list[CudaSession]) -> None:
        self.loaded(network, "onnxruntime")
        assert sessions[0].given == ("CPUExecutionProvider", {})


@pytest.mark.slow  # imports torch
class TestTorch:
    @pytest.fixture
    def torch_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A TorchModel "on CUDA" that computes on the CPU, and its network; what it was told."""
        import torch

        from infrastructure.inference import torch_backend

        class Network(torch.nn.Module):  # type: ignore[misc]
            full = 0

            def forward(self, images: Any) -> Any:
                if self.full:
                    self.full -= 1
                    raise torch.cuda.OutOfMemoryError(TORCH_FULL)
                return -images

        told: dict[str, Any] = {"freed": 0}
        network = Network()
        cpu = torch.device("cpu")
        monkeypatch.setenv("GPU_MEMORY_FRACTION", "0.5")
        monkeypatch.setattr(torch_backend, "load_network", lambda _: (network, ("player",)))
        monkeypatch.setattr(torch_backend.torch, "device", lambda _: cpu)
        monkeypatch.setattr(
            torch_backend.torch.cuda,
            "set_per_process_memory_fraction",
            lambda share: told.update(share=share),
        )
        monkeypatch.setattr(
            torch_backend.torch.cuda,
            "empty_cache",
            lambda: told.update(freed=told["freed"] + 1),
        )
        path = tmp_path / "network.pt"
        path.write_bytes(b"never read")
        model = load(path, ModelIdentity(sha256_of(path), "torch:cuda", "f32"), SIZE)
        return model, network, told

    def test_frees_what_torch_keeps_and_gives_the_same_answers(self, torch_model: Any) -> None:
        model, network, told = torch_model
        expected = [answer.tobytes() for (answer,) in model.infer(pictures(4))]
        network.full = 1
        assert [answer.tobytes() for (answer,) in model.infer(pictures(4))] == expected
        assert told == {"freed": 1, "share": 0.5}

    def test_gives_up_in_one_line(self, torch_model: Any) -> None:
        model, network, told = torch_model
        network.full = 1000
        with pytest.raises(DeviceMemoryError, match="Tried to allocate 20") as caught:
            model.infer(pictures(2))
        assert "\n" not in str(caught.value)
        assert told["freed"] == 1  # two images, then one; no image was tried twice in vain
