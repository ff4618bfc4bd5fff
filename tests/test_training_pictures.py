"""What the training recipes do to pictures, and what they start from: stills and networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from domain.errors import InputError
from domain.lens import bent
from training.detector_data import ROLES, CropOptions, LabelledFrame, draw_crop
from training.detector_network import fill, give_roles
from training.disturbance import change_shirts, degrade
from training.folded_weights import read_folded
from training.loop import refuse_held_out
from training.pitch_data import FRAME_SIZE, POINTS, PitchFrame, fit_bent, load_frame
from training.pitch_network import ExportedPitchNetwork, PitchNetwork
from training.pitch_views import ViewOptions, draw_example
from training.simulated import STILLS, images_in, match_options, render

MODELS = Path(__file__).resolve().parents[1] / "models"
PLAYER, KEEPER, REFEREE = (ROLES.index(role) for role in ("player", "goalkeeper", "referee"))


def dressed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grass with six people 60 px tall: three in red, two in blue, a keeper in yellow."""
    image = np.full((200, 400, 3), (40, 140, 40), np.uint8)
    boxes = np.array([[20 + 60 * i, 60, 44 + 60 * i, 120] for i in range(6)], np.float32)
    colours = [(20, 20, 200)] * 3 + [(200, 40, 20)] * 2 + [(20, 200, 200)]
    for box, colour in zip(boxes.astype(int), colours, strict=True):
        cv2.rectangle(image, (box[0] + 5, box[1]), (box[2] - 5, box[3]), colour, -1)
    return image, boxes, np.array([PLAYER] * 5 + [KEEPER])


class TestShirts:
    def test_sides_keep_together_and_the_grass_stays(self) -> None:
        """Team-mates are dyed alike, in colours that differ from draw to draw."""
        image, boxes, roles = dressed()
        reds = set()
        for seed in range(6):
            dyed = change_shirts(image, boxes, roles, np.random.default_rng(seed))
            shirts = [dyed[80, int((b[0] + b[2]) / 2)].astype(int) for b in boxes]
            assert np.abs(shirts[0] - shirts[1]).max() <= 2
            assert np.abs(shirts[0] - shirts[2]).max() <= 2
            assert np.abs(shirts[3] - shirts[4]).max() <= 2
            grass = np.ones(image.shape[:2], bool)
            grass[60:121] = False
            assert np.array_equal(dyed[grass], image[grass])
            reds.add(tuple(shirts[0]))
        assert len(reds) > 3

    def test_nothing_but_shirts_and_shorts_is_dyed(self) -> None:
        """The head, above 13 % of the height, and the legs, below 68 %, stay as they are."""
        image, boxes, roles = dressed()
        dyed = change_shirts(image, boxes, roles, np.random.default_rng(1))
        assert not np.array_equal(dyed, image)
        assert np.array_equal(dyed[60:67], image[60:67])
        assert np.array_equal(dyed[102:], image[102:])

    def test_people_cut_off_at_the_edge_are_borne(self) -> None:
        image, _, roles = dressed()
        outside = np.array([[-50, -90, -20, -10], [390, 150, 430, 260]] * 3, np.float32)
        dyed = change_shirts(image, outside, roles, np.random.default_rng(0))
        assert dyed.shape == image.shape
        assert np.array_equal(dyed[:150], image[:150])  # the one box in view begins below


class TestDisturbance:
    def test_a_disturbed_picture_is_a_picture_of_the_same_size(self) -> None:
        """Over a hundred draws every branch is taken: none changes shape or type."""
        image = np.random.default_rng(0).integers(0, 256, (72, 128, 3)).astype(np.uint8)
        for seed in range(100):
            out = degrade(image, np.random.default_rng(seed))
            assert out.shape == image.shape
            assert out.dtype == np.uint8

    def test_the_same_draw_gives_the_same_picture(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (72, 128, 3)).astype(np.uint8)
        for seed in range(40):
            once, again = (degrade(image, np.random.default_rng(seed)) for _ in range(2))
            assert np.array_equal(once, again)

    def test_boxes_of_stretched_crops_stretch_along(self) -> None:
        """People twice as tall as wide in the frame are taller in a picture squeezed to a square.

        In a crop of a stretched picture boxes are up to 1.8 times taller than 2:1, or as far wider.
        """
        image = np.full((720, 1280, 3), (40, 140, 40), np.uint8)
        box = np.array([[0.49, 0.45, 0.51, 0.45 + 0.04 * 16 / 9]], np.float32)  # 25.6 by 51.2 px
        frame = LabelledFrame("drawn", image, box, np.array([PLAYER]))
        ratios = []
        for seed in range(40):
            options = CropOptions(stretched_share=1.0)
            _, boxes, _ = draw_crop(frame, options, np.random.default_rng(seed))
            ratios += [(b[3] - b[1]) / (b[2] - b[0]) for b in boxes]
        assert 2 * 0.77 < min(ratios) < 2
        assert 3 < max(ratios) < 2 * 1.81


class TestBentFrames:
    def test_a_bent_lens_is_fitted_to_its_exact_points(self) -> None:
        """A camera of known homography and bend: both come back, and lines lie on the paint."""
        to_pixel = np.array([[9.0, 3.0, 600.0], [0.2, -5.0, 420.0], [0.0, 0.004, 1.0]])
        k = -0.02 / 640**2
        straight = cv2.perspectiveTransform(POINTS[None], to_pixel)[0]
        frame = PitchFrame("m", np.zeros((720, 1280, 3), np.uint8), straight, to_pixel, bend=k)
        pixels = frame.seen(straight)
        middle = np.array([640.0, 360.0])
        assert np.allclose(pixels, bent(straight - middle, k) + middle)
        inside = ((pixels > 0) & (pixels < FRAME_SIZE)).all(1)
        assert inside.sum() >= 8
        found = fit_bent(POINTS[inside], pixels[inside])
        assert found is not None
        assert np.allclose(found[0], to_pixel, rtol=1e-3, atol=1e-3)
        assert found[1] == pytest.approx(k, rel=0.01)

    def test_points_of_no_camera_are_not_fitted(self) -> None:
        rng = np.random.default_rng(0)
        assert fit_bent(POINTS[:12], rng.uniform(0, 700, (12, 2))) is None
        assert fit_bent(POINTS[:5], rng.uniform(0, 700, (5, 2))) is None


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames of the recipe's first simulated match."""
    return render(tmp_path_factory.mktemp("stills"), matches=1, processes=1, report=lambda _: None)


class TestSimulatedFrames:
    def test_frames_are_rendered_once(self, stills: Path) -> None:
        """A killed run goes on: what is there is not drawn again."""
        told: list[str] = []
        render(stills, matches=1, processes=1, report=told.append)
        assert told == []
        for kind in ("players", "pitch"):
            images = images_in(stills / kind, matches=1)
            assert len(images) == STILLS
            assert images_in(stills / kind, matches=0) == []
            assert refuse_held_out(images) == images

    def test_all_cameras_and_both_sizes_take_turns(self) -> None:
        drawn = [match_options(index) for index in range(30)]
        assert {o.camera for o in drawn} == {"main", "wide", "behind_goal", "amateur"}
        assert {o.width for o in drawn} == {1280, 1920}
        assert sum(o.broadcast for o in drawn) == 3
        assert len({o.seed for o in drawn}) == 30

    def test_points_out_of_view_are_known_to_be(self, stills: Path) -> None:
        """In a simulated frame a point without a label is out of view: the network may learn it."""
        frame = load_frame(images_in(stills / "pitch", matches=1)[0])
        example = draw_example(frame, ViewOptions(), np.random.default_rng(0))
        assert example.known.all()
        assert np.isfinite(example.points[:, 0]).sum() < len(POINTS)


class TestStartingFromAnExport:
    def test_a_detector_read_back_computes_what_the_file_does(self) -> None:
        import onnxruntime
        from ultralytics.nn.tasks import DetectionModel

        path = MODELS / "detector.onnx"
        network = give_roles(DetectionModel("yolov8n.yaml", nc=80, verbose=False))
        fill(network, read_folded(path), path)
        image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"images": image.numpy()})[0]
        with torch.no_grad():
            found = network.eval()(image)[0].numpy()
        assert np.allclose(found, expected, atol=2e-3)

    def test_a_pitch_network_too(self) -> None:
        import onnxruntime
        from ultralytics.nn.tasks import DetectionModel

        path = MODELS / "pitch.onnx"
        trunk = list(DetectionModel("yolov8n.yaml", nc=80, verbose=False).model)
        network = PitchNetwork(trunk)
        fill(network, read_folded(path), path)
        image = torch.rand(1, 3, 384, 640, generator=torch.Generator().manual_seed(0))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        points, lines = session.run(None, {"images": image.numpy()})
        with torch.no_grad():
            found = ExportedPitchNetwork(network).eval()(image)
        assert np.allclose(found[0].numpy(), points, atol=0.01)
        assert np.allclose(found[1].numpy(), lines, atol=1e-4)

    def test_another_network_is_refused(self) -> None:
        from ultralytics.nn.tasks import DetectionModel

        path = MODELS / "pitch.onnx"
        network = give_roles(DetectionModel("yolov8n.yaml", nc=80, verbose=False))
        with pytest.raises(InputError, match=r"pitch\.onnx: another network"):
            fill(network, read_folded(path), path)
