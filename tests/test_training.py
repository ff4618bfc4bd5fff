"""The training recipes: the split, the geometry of their pictures, and that they learn at all."""

import copy
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from domain.pitch import Pitch
from training.detector import training_losses
from training.detector_data import (
    BALL,
    ROLES,
    CropOptions,
    CropSource,
    LabelledFrame,
    Pool,
    draw_crop,
    load_training_frames,
)
from training.detector_export import write_onnx
from training.detector_network import (
    COCO_ROW_OF_ROLE,
    give_roles,
    load_coco,
    neutralise,
    settle_norms,
)
from training.detector_score import average_precision, select
from training.disturbance import change_kits
from training.loop import (
    HELD_OUT_MATCHES,
    VALIDATION_MATCH,
    Batch,
    HeldOutMatchError,
    refuse_held_out,
    training_images,
)
from training.pitch import point_targets
from training.pitch import training_losses as pitch_losses
from training.pitch_data import (
    FRAME_SIZE,
    LINES,
    MIRRORED,
    MIRRORED_LINES,
    POINTS,
    PitchFrame,
    fit_homography,
    letterbox,
    letterbox_matrix,
)
from training.pitch_drawn import draw_frame
from training.pitch_network import ExportedPitchNetwork, PitchNetwork, decode
from training.pitch_score import frame_errors, solve
from training.pitch_views import (
    Example,
    PitchSource,
    ViewOptions,
    draw_example,
    targets_of,
)

DATA = Path(
    os.environ.get(
        "FOOTANALYTICS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)
MODELS = Path(__file__).resolve().parents[1] / "models"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors: threads would cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(seed: int = 0) -> PitchFrame:
    """A drawn frame: exact labels, no data needed."""
    return draw_frame(np.random.default_rng(seed), np.full((720, 1280, 3), 90, np.uint8))


def labelled(objects: int = 3) -> LabelledFrame:
    """A green frame with white upright boxes for players and a yellow square for the ball."""
    image = np.full((720, 1280, 3), (20, 70, 20), np.uint8)
    corners = [(100 + 300 * i, 200, 124 + 300 * i, 260) for i in range(objects)]
    corners.append((640, 400, 652, 412))
    for index, (x0, y0, x1, y1) in enumerate(corners):
        colour = (0, 255, 255) if index == objects else (255, 255, 255)
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, -1)
    boxes = (np.array(corners) / [1280, 720, 1280, 720]).astype(np.float32)
    return LabelledFrame("drawn", image, boxes, np.array([0] * objects + [BALL]))


class TestSplit:
    """Published figures are those of three matches: the loaders must refuse them."""

    @pytest.mark.parametrize("match", sorted(HELD_OUT_MATCHES))
    def test_held_out_matches_are_refused(self, match: str) -> None:
        with pytest.raises(HeldOutMatchError, match=match):
            refuse_held_out([Path(f"players/images/{match}_0_2.jpg")])

    def test_the_loader_itself_refuses_before_reading(self) -> None:
        with pytest.raises(HeldOutMatchError):
            load_training_frames([Path("nowhere/images/cd987c_1_1.jpg")])

    def test_footage_for_evaluation_only_is_refused(self) -> None:
        with pytest.raises(HeldOutMatchError, match="evaluation only"):
            refuse_held_out([Path("data/other/epl_416/images/a.jpg")])

    @pytest.mark.parametrize("seed", [900_000, 949_999, 950_000])
    def test_simulated_matches_for_other_uses_are_refused(self, seed: int) -> None:
        with pytest.raises(HeldOutMatchError, match="below 900000"):
            refuse_held_out([Path(f"data/images/{seed}_behind_goal_00012.jpg")])

    def test_simulated_matches_for_training_are_not(self) -> None:
        still = Path("data/images/899999_main_00012.jpg")
        assert refuse_held_out([still]) == [still]

    def test_listing_leaves_out_held_out_and_validation(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        for match in ("08fd33", "c01561", "cd987c", VALIDATION_MATCH, "42ba34"):
            (tmp_path / "images" / f"{match}_1_1.jpg").touch()
        assert [p.name for p in training_images(tmp_path)] == ["42ba34_1_1.jpg"]


class TestCrops:
    def test_boxes_follow_the_pixels(self) -> None:
        """The ball is bright and alone: where a crop shows it, its box is on bright pixels.

        Grass of 70 is at most 70 * 1.4 = 98 after the colours were disturbed, the ball at least
        255 * 0.6 = 153.
        """
        frame, checked = labelled(), 0
        for seed in range(12):
            rng = np.random.default_rng(seed)
            image, boxes, roles = draw_crop(frame, CropOptions(320, 480), rng)
            for x0, y0, x1, y1 in boxes[roles == BALL]:
                assert image[int((y0 + y1) / 2), int((x0 + x1) / 2)].max() > 110
                checked += 1
        assert checked >= 3

    def test_boxes_cut_off_at_the_edge_are_dropped_or_clipped(self) -> None:
        options = CropOptions(128, 128)
        for seed in range(10):
            _, boxes, roles = draw_crop(labelled(), options, np.random.default_rng(seed))
            assert len(boxes) == len(roles)
            assert (boxes >= 0).all()
            assert (boxes <= 128).all()

    def test_changing_kits_leaves_the_grass(self) -> None:
        """Green stays; a red shirt (hue 0) becomes another colour, as bright as before."""
        image = np.zeros((2, 2, 3), np.uint8)
        image[0], image[1] = (40, 140, 40), (0, 0, 200)
        changed = [change_kits(image, np.random.default_rng(seed)) for seed in range(5)]
        assert all(np.abs(c[0].astype(int) - image[0]).max() <= 2 for c in changed)
        assert all(c[1].max() == 200 for c in changed)
        assert len({tuple(c[1, 0]) for c in changed}) > 2

    def test_impossible_labels_are_refused(self) -> None:
        with pytest.raises(ValueError, match="expected boxes"):
            LabelledFrame("m", np.zeros((9, 16, 3), np.uint8), np.zeros((2, 4), np.float32),
                          np.zeros(1, np.int64))  # fmt: skip


@pytest.fixture(scope="module")
def random_detector() -> torch.nn.Module:
    """YOLOv8n with role outputs and random weights."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    return give_roles(DetectionModel("yolov8n.yaml", nc=80, verbose=False))


class TestDetector:
    def test_settled_norms_change_no_output(self) -> None:
        """Folded norms get true statistics: the same in evaluation, and now in training too."""
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.SiLU()]
        layers += [torch.nn.Conv2d(8, 8, 3), torch.nn.BatchNorm2d(8)]
        model, images = torch.nn.Sequential(*layers).eval(), torch.rand(2, 3, 64, 96)
        for norm in (layers[1], layers[4]):
            neutralise(norm)
        with torch.no_grad():
            before = model(images)
            assert not torch.allclose(before, copy.deepcopy(model).train()(images), atol=1e-1)
            settle_norms(model, images)
            assert torch.allclose(before, model.eval()(images), atol=1e-4)
            assert torch.allclose(before, model.train()(images), atol=1e-3)

    def test_a_few_steps_lower_the_loss(self, random_detector: torch.nn.Module) -> None:
        from ultralytics.utils.loss import v8DetectionLoss

        source = CropSource([Pool(1.0, [labelled()])], 2, CropOptions(128, 192))
        batch = source.draw(np.random.default_rng(1))
        optimizer = torch.optim.AdamW(random_detector.parameters(), 1e-3)
        criterion = v8DetectionLoss(random_detector.train())
        losses = []
        for _ in range(9):
            loss, _ = training_losses(random_detector, criterion, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.7 * losses[0]  # the assignment moves, so not each step is lower

    def test_frames_with_the_ball_alone_teach_nothing_about_people(
        self, random_detector: torch.nn.Module
    ) -> None:
        """The class gradient of the three roles of people is zero on such a crop."""
        from ultralytics.utils.loss import v8DetectionLoss

        frame = labelled(0)
        only = replace(frame, known=("ball",))
        source = CropSource([Pool(1.0, [only])], 1, CropOptions(128, 192))
        batch = source.draw(np.random.default_rng(0))
        random_detector.zero_grad()
        criterion = v8DetectionLoss(random_detector.train())
        training_losses(random_detector, criterion, batch)[0].backward()
        for branch in random_detector.model[-1].cv3:
            assert not branch[-1].weight.grad[:BALL].any()
            assert branch[-1].weight.grad[BALL].any()
        random_detector.zero_grad()

    def test_people_suppress_each_other_and_the_ball_stands_alone(self) -> None:
        output = torch.zeros(4 + len(ROLES), 3)
        output[:4] = torch.tensor([50.0, 50, 20, 40])[:, None]
        output[4, 0], output[5, 1], output[4 + BALL, 2] = 0.9, 0.8, 0.3
        assert select(output)[:, 5].tolist() == [0, BALL]

    def test_average_precision_of_a_hand_drawn_curve(self) -> None:
        # 2 truths; hits in order of score: yes, no, yes. Recall 0.5 at precision 1, recall 1 at
        # 2/3: 51 of 101 recall points lie up to 0.5 -> (51 * 1 + 50 * 2/3) / 101 = 0.8350
        hits = np.array([True, False, True])
        value = average_precision(np.array([0.9, 0.8, 0.7]), hits, truths=2)
        assert value == pytest.approx((51 + 50 * 2 / 3) / 101)
        assert np.isnan(average_precision(np.zeros(0), np.zeros(0, bool), truths=0))

    def test_exported_weights_are_halved_and_agree(self, tmp_path: Path) -> None:
        import onnxruntime

        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.Conv2d(64, 64, 3)).eval()
        image = torch.rand(1, 3, 32, 32)
        path = write_onnx(
            model, image, tmp_path / "m.onnx", ["output"], {"images": {2: "height"}}, {"a": "b"}
        )
        size = 4 * sum(p.numel() for p in model.parameters())
        assert path.stat().st_size < 0.6 * size
        session = onnxruntime.InferenceSession(str(path))
        found = session.run(None, {"images": image.numpy()})[0]
        with torch.no_grad():
            assert np.allclose(found, model(image).numpy(), atol=2e-3)
        assert session.get_modelmeta().custom_metadata_map == {"a": "b"}


class TestPitchGeometry:
    def test_mirroring_points_twice_is_the_identity_and_mirrors_x(self) -> None:
        assert (MIRRORED[MIRRORED] == np.arange(32)).all()
        assert np.allclose(POINTS[MIRRORED], POINTS * [-1, 1])

    def test_mirroring_lines_mirrors_x(self) -> None:
        assert (MIRRORED_LINES[MIRRORED_LINES] == np.arange(12)).all()
        for line, other in enumerate(MIRRORED_LINES):
            mine = LINES[line] * [-1, 1]
            gaps = np.linalg.norm(mine[:, None] - LINES[other][None], axis=2).min(1)
            assert gaps.max() < 0.51  # polylines are sampled each 0.5 m

    def test_labels_with_one_wrong_point_still_fit(self) -> None:
        frame = drawn(1)
        pixels = cv2.perspectiveTransform(POINTS[None], frame.to_pixel)[0]
        spoiled = pixels.copy()
        spoiled[4] += 200
        fitted = fit_homography(POINTS, spoiled)
        assert fitted is not None
        assert np.abs(cv2.perspectiveTransform(POINTS[None], fitted)[0] - pixels).max() < 0.1

    def test_too_few_points_fix_nothing(self) -> None:
        assert fit_homography(POINTS[:5], POINTS[:5] * 10) is None

    def test_points_in_a_view_lie_on_their_painted_lines(self) -> None:
        """A corner of the penalty area must be where the mask of that area is set."""
        checked = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            example = draw_example(drawn(seed), ViewOptions(), rng)
            assert example.lines is not None
            for point, line in ((9, 5), (12, 5), (17, 6), (20, 6), (14, 9), (15, 9)):
                x, y = example.points[point] / 4
                if np.isfinite(x) and 3 < x < 156 and 3 < y < 92:
                    near = example.lines[line][int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
                    assert near.any()
                    checked += 1
        assert checked >= 4

    def test_mirrored_view_shows_the_mirrored_point_at_the_mirrored_place(self) -> None:
        """Left and right differ by name alone: point i mirrored is where its twin was."""
        frame = drawn(2)
        still = ViewOptions(1.0, 1.0001, 0.0, 0.0, 0.0)
        found: dict[bool, Example] = {}
        both = PitchFrame(frame.match, frame.image, frame.points, frame.to_pixel, mirrors=True)
        for seed in range(20):
            rng = np.random.default_rng(seed)
            mirror = bool(np.random.default_rng(seed).random() < 0.5)
            found.setdefault(mirror, draw_example(both, still, rng))
        plain, turned = found[False].points, found[True].points[MIRRORED]
        seen = np.isfinite(plain[:, 0]) & np.isfinite(turned[:, 0])
        total = plain[seen, 0] + turned[seen, 0]  # x and width - x, but for the random shift
        assert seen.sum() >= 2
        assert np.ptp(total) < 1.0
        assert np.ptp(plain[seen, 1] - turned[seen, 1]) < 1.0

    def test_views_from_behind_a_goal_are_never_mirrored(self) -> None:
        assert not drawn().mirrors


class TestPitchNetwork:
    def test_decoding_returns_the_points_that_made_the_targets(self) -> None:
        rng = np.random.default_rng(0)
        places = torch.from_numpy(rng.uniform([20, 20], [620, 364], (1, 32, 2))).float()
        places[0, 5] = torch.nan
        targets = point_targets(places, spread=0.8).clamp(min=1e-12).log()
        found = decode(targets[:, :, :-1].reshape(1, 32, 96, 160), targets[:, :, -1])[0]
        seen = torch.isfinite(places[0, :, 0])
        assert (found[seen, :2] - places[0, seen]).abs().max() < 0.1
        assert (found[seen, 2] > 0.95).all()
        assert found[5, 2] < 0.01

    def test_true_points_give_no_error_in_metres(self) -> None:
        frame = drawn(3)
        assert frame.to_pixel is not None
        whole = letterbox_matrix() @ frame.to_pixel
        places = cv2.perspectiveTransform(POINTS[None], whole)[0]
        found = solve(np.column_stack([places, np.ones(32)]))
        assert found is not None
        assert frame_errors(frame, found).max() < 1e-3

    def test_no_points_no_homography(self) -> None:
        assert solve(np.zeros((32, 3))) is None

    def test_a_few_steps_lower_the_loss(self) -> None:
        from ultralytics.nn.tasks import DetectionModel

        torch.manual_seed(0)
        trunk = DetectionModel("yolov8n.yaml", nc=80, verbose=False).model
        network = PitchNetwork(list(trunk)).train()
        example = draw_example(drawn(4), ViewOptions(), np.random.default_rng(1))
        image = torch.from_numpy(example.image[:, :, ::-1].transpose(2, 0, 1).copy()).float() / 255
        batch = Batch(torch.stack([image, image]), targets_of([example, example]))
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        losses = []
        for _ in range(3):
            loss, _ = pitch_losses(network, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0]
        points, lines = ExportedPitchNetwork(network.eval())(image[None])
        assert points.shape == (1, 32, 3)
        assert lines.shape == (1, 12, 96, 160)

    def test_pictures_without_a_pitch_have_no_points(self) -> None:
        source = PitchSource([drawn()], batch=2, negative_share=1.0)
        truth = source.draw(np.random.default_rng(1)).targets
        assert torch.isnan(truth["points"]).all()
        assert truth["known"].all()
        assert not truth["lines"].any()


class TestShippedModels:
    """What lies in models/ is what the recipes export."""

    @pytest.mark.parametrize(("name", "key"), [("detector", "roles"), ("pitch", "lines")])
    def test_metadata_says_what_licence_and_recipe(self, name: str, key: str) -> None:
        import onnxruntime

        path = MODELS / f"{name}.onnx"
        assert path.stat().st_size < 13_000_000
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata["license"] == "AGPL-3.0"
        assert "CC BY 4.0" in metadata["attribution"]
        assert len(metadata["recipe_sha256"]) == 64
        assert metadata[key]
        assert (MODELS / f"{name}.md").exists()

    def test_the_pitch_model_places_drawn_cameras(self) -> None:
        """Six random cameras with exact truth: most are answered, to a metre in the median."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(MODELS / "pitch.onnx"))
        errors = []
        for seed in range(6):
            frame = drawn(100 + seed)
            points = session.run(None, {"images": letterbox(frame.image).numpy()})[0][0]
            found = solve(points.astype(np.float64))
            if found is not None:
                errors.append(frame_errors(frame, found).mean())
        assert len(errors) >= 4
        assert np.median(errors) < 1.0


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
class TestRealData:
    def test_roles_start_from_their_coco_rows(self) -> None:
        weights = DATA / "weights" / "yolov8n_coco_fused.npz"
        with np.load(weights) as folded:
            rows = folded["model.22.cv3.0.2.weight"][list(COCO_ROW_OF_ROLE)]
        head = give_roles(load_coco(weights)).model[-1]
        assert np.array_equal(head.cv3[0][-1].weight.detach().numpy(), rows)
        assert head.nc == len(ROLES)

    def test_no_training_list_holds_a_held_out_match(self) -> None:
        for folder in ("players", "pitch", "pitch_wc2022", "ball_dfl_640"):
            images = training_images(DATA / folder)
            assert images
            assert not [p for p in images if p.name[:6] in HELD_OUT_MATCHES | {VALIDATION_MATCH}]

    def test_labels_fit_the_pitch_to_their_own_noise(self) -> None:
        """The points' order and metres are right: the fit's median is about 0.2 m."""
        from training.pitch_data import load_frame

        frame = load_frame(sorted((DATA / "pitch" / "images").glob("42ba34*.jpg"))[0])
        assert frame.to_pixel is not None
        assert frame.image.shape[:2] == FRAME_SIZE[::-1]
        seen = np.isfinite(frame.points[:, 0])
        back = cv2.perspectiveTransform(frame.points[seen][None], np.linalg.inv(frame.to_pixel))[0]
        assert np.median(np.linalg.norm(back - POINTS[seen], axis=1)) < 0.5
        assert Pitch().contains(POINTS).all()
