"""Player detection on drawn pictures, whose truth is known to the pixel, and on real frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.stage import Frame, MatchFacts
from domain.configuration import PlayerDetectionOptions, ProcessingConfiguration
from domain.errors import InputError
from domain.tables import ROLES
from infrastructure.inference import identify, load
from infrastructure.inference.machine import Machine
from infrastructure.planning import build_stage
from stages.images import letterbox
from stages.player_detection import appearance
from stages.player_detection.boxes import (
    BALL,
    Boxes,
    RoleMap,
    Thresholds,
    class_count,
    decode,
    inside,
    intersection_over_union,
)
from stages.player_detection.stage import PlayerDetectionStage

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / PlayerDetectionStage.shipped_model()
GRASS = (60, 140, 70)  # BGR
COLOURS = {"player": (40, 40, 220), "goalkeeper": (230, 60, 200), "referee": (10, 10, 10)}
COLOURS["ball"] = (255, 255, 255)
FOUR = RoleMap.of(ROLES, 4)
LOOSE = Thresholds(person=0.1, ball=0.05, overlap=0.6)


def head(*anchors: tuple[float, ...], classes: int = 4, size: int = 100) -> np.ndarray:
    """A raw answer (1, 4 + classes, size); an anchor is cx, cy, w, h and the classes' scores."""
    output = np.zeros((1, 4 + classes, size), np.float32)
    for index, anchor in enumerate(anchors):
        output[0, : len(anchor), index] = anchor
    return output


class BlobNetwork:
    """A network that finds blobs of the four colours: it answers by what is drawn, like a real one.

    Its score is the share of the blob's box that has the colour.
    """

    names = ROLES
    is_of_one_size = True

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def infer(self, images):
        self.shapes += [image.shape for image in images]
        return [(self._answer(image),) for image in images]

    def _answer(self, image):
        anchors = []
        for role, name in enumerate(ROLES):
            mask = (np.abs(image.astype(int) - COLOURS[name]).max(axis=2) < 40).astype(np.uint8)
            count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
            for left, top, width, height, area in stats[1:count]:
                scores = np.eye(4)[role] * area / (width * height)
                anchors.append((left + width / 2, top + height / 2, width, height, *scores))
        return head(*anchors)


def drawn(height: int, width: int, people: dict[str, tuple[int, int, int, int]]) -> np.ndarray:
    image = np.full((height, width, 3), GRASS, np.uint8)
    for name, (x1, y1, x2, y2) in people.items():
        image[y1:y2, x1:x2] = COLOURS[name]
    return image


def stage_for(image: np.ndarray, model, **options) -> PlayerDetectionStage:
    facts = MatchFacts(image.shape[1], image.shape[0], 25.0)
    return PlayerDetectionStage(PlayerDetectionOptions(**options), facts, model)


def detect(stage: PlayerDetectionStage, *frames: Frame):
    run = stage.begin()
    run.take(frames)
    return run.tables()["detections"]


def xyxy_of(table) -> np.ndarray:
    return np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)


class TestInputSize:
    """The longer side is image_size, the other follows the source; both are multiples of 32."""

    @pytest.mark.parametrize(
        ("source", "image_size", "expected"),
        [
            ((1920, 1080), 1280, (736, 1280)),  # 720 and up to the next multiple
            ((848, 478), 1280, (736, 1280)),  # 721.5
            ((3840, 2160), 1280, (736, 1280)),
            ((640, 480), 1280, (960, 1280)),
            ((1080, 1920), 1280, (1280, 736)),
            ((416, 416), 640, (640, 640)),
            ((2390, 1000), 1280, (544, 1280)),  # 535.6
            ((320, 180), 500, (288, 512)),  # 281.25
        ],
    )
    def test_by_source(self, source, image_size, expected):
        options = PlayerDetectionOptions(image_size=image_size)
        facts = MatchFacts(*source, 25.0)
        assert PlayerDetectionStage.input_size(options, facts) == expected


class TestDecode:
    def test_centre_and_size_become_corners_best_first(self):
        output = head(
            (100, 50, 20, 40, 0.5), (300, 80, 10, 30, 0, 0, 0.9), (9, 9, 4, 6, 0, 0, 0, 0.07)
        )
        boxes = decode(output, FOUR, LOOSE)
        np.testing.assert_allclose(
            boxes.xyxy, [[295, 65, 305, 95], [90, 30, 110, 70], [7, 6, 11, 12]]
        )
        assert [ROLES[role] for role in boxes.role] == ["referee", "player", "ball"]
        np.testing.assert_allclose(boxes.confidence, [0.9, 0.5, 0.07])

    def test_one_person_is_one_box_in_the_best_role(self):
        """18 of 20 columns shared: 18 / 22 = 0.82 overlap, above 0.6."""
        output = head((100, 50, 20, 40, 0.5), (102, 50, 20, 40, 0, 0.7))
        boxes = decode(output, FOUR, LOOSE)
        assert [ROLES[role] for role in boxes.role] == ["goalkeeper"]

    def test_two_people_who_overlap_less_stay_two(self):
        """14 of 20 columns shared: 14 / 26 = 0.54."""
        output = head((100, 50, 20, 40, 0.5), (106, 50, 20, 40, 0, 0.7))
        assert len(decode(output, FOUR, LOOSE)) == 2

    def test_the_ball_at_a_players_feet_is_suppressed_by_nobody(self):
        output = head((100, 50, 20, 40, 0.9), (100, 50, 20, 40, 0, 0, 0, 0.3))
        assert [ROLES[role] for role in decode(output, FOUR, LOOSE).role] == ["player", "ball"]

    def test_an_anchor_may_be_both_a_person_and_a_ball(self):
        output = head((100, 50, 6, 6, 0.2, 0, 0, 0.3))
        assert [ROLES[role] for role in decode(output, FOUR, LOOSE).role] == ["ball", "player"]

    def test_thresholds_are_inclusive_and_separate(self):
        output = head((50, 50, 9, 9, 0.0999), (90, 50, 9, 9, 0.1), (9, 9, 4, 6, 0, 0, 0, 0.05))
        boxes = decode(output, FOUR, LOOSE)
        np.testing.assert_allclose(boxes.confidence, [0.1, 0.05])

    def test_a_picture_without_anybody(self):
        boxes = decode(head(), FOUR, LOOSE)
        assert boxes.xyxy.shape == (0, 4)

    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), overlap=st.floats(0.1, 0.9))
    def test_suppression_is_the_greedy_one(self, seed, overlap):
        """Against the definition, box by box: keep the best, drop what covers it, repeat."""
        rng = np.random.default_rng(seed)
        centres = rng.uniform(0, 60, (40, 2))
        sizes = rng.uniform(10, 40, (40, 2))
        scores = rng.uniform(0.2, 1, (40, 1))
        output = head(*np.hstack([centres, sizes, scores]).tolist())
        kept = decode(output, FOUR, Thresholds(0.1, 0.05, overlap)).xyxy
        expected = []
        for row in np.argsort(-scores[:, 0]):
            half = sizes[row] / 2
            box = np.float32([*(centres[row] - half), *(centres[row] + half)])[None]
            if all(intersection_over_union(box, other)[0, 0] <= overlap for other in expected):
                expected.append(box)
        np.testing.assert_allclose(kept, np.concatenate(expected), atol=1e-4)

    def test_boxes_are_cut_at_the_edge_and_dropped_beyond_it(self):
        xyxy = np.float32([[-5, -5, 10, 10], [90, 40, 130, 70], [-9, 0, -1, 5], [100, 0, 120, 9]])
        boxes = inside(Boxes(xyxy, np.ones(4, np.float32), np.zeros(4, int)), 60, 100)
        np.testing.assert_array_equal(boxes.xyxy, [[0, 0, 10, 10], [90, 40, 100, 60]])


class TestRoles:
    """A network's classes are told by their names, then by their count."""

    def test_names_win_over_the_order(self):
        """The commonest public football set has the ball first."""
        roles = RoleMap.of(("ball", "goalkeeper", "player", "referee"), 4)
        output = head((50, 50, 9, 9, 0, 0, 0.8), (90, 50, 4, 4, 0.6))
        assert [ROLES[role] for role in decode(output, roles, LOOSE).role] == ["player", "ball"]

    def test_coco_with_and_without_names(self):
        names = ["x"] * 80
        names[0], names[32] = "person", "sports ball"
        numbers = [str(index) for index in range(80)]
        for given_names in (names, [], numbers):
            roles = RoleMap.of(given_names, 80)
            assert (roles.classes, roles.roles) == ((0, 32), (0, BALL))

    def test_a_dog_is_nobody(self):
        output = head((50, 50, 9, 9, *np.eye(80)[16]), (90, 50, 9, 9, *np.eye(80)[0]), classes=80)
        boxes = decode(output, RoleMap.of([], 80), LOOSE)
        np.testing.assert_allclose(boxes.xyxy, [[85.5, 45.5, 94.5, 54.5]])

    @pytest.mark.parametrize(
        ("names", "count", "says"),
        [
            (("cat", "dog"), 2, "no class of this network is a player .cat, dog."),
            ((), 7, "7 unnamed classes"),
            (("ball",), 1, "no class of this network is a player"),
        ],
    )
    def test_other_networks_are_refused(self, names, count, says):
        with pytest.raises(InputError, match=says):
            RoleMap.of(names, count)

    @pytest.mark.parametrize("shape", [(1, 300, 6), (1, 84), (8, 100), (2, 8, 100)])
    def test_other_heads_are_refused(self, shape):
        with pytest.raises(InputError, match="raw YOLOv8 detection head"):
            class_count([np.zeros(shape, np.float32)])


class TestStage:
    @pytest.mark.parametrize(
        ("height", "width"),
        [(320, 568), (478, 848), (720, 1280), (1080, 1920), (2160, 3840), (576, 720), (1280, 720)],
    )
    def test_boxes_come_back_in_source_pixels(self, height, width):
        """From 320 lines to 4K and upright: within two pixels of the network's grid."""
        unit = height / 40
        people = {
            name: tuple(int(value * unit) for value in (x, y, x + w, y + h))
            for name, (x, y, w, h) in {
                "player": (3, 5, 2, 5),
                "goalkeeper": (10, 30, 2, 6),
                "referee": (15, 12, 2, 5),
                "ball": (18, 34, 1, 1),
            }.items()
        }
        image = drawn(height, width, people)
        model = BlobNetwork()
        table = detect(stage_for(image, model), Frame(7, 0.28, image))
        found = dict(zip(table["role"].to_pylist(), xyxy_of(table), strict=True))
        assert set(found) == set(ROLES)
        assert all(side % 32 == 0 for side in model.shapes[0][:2])
        grid = max(height, width) / 1280
        for name, box in people.items():
            np.testing.assert_allclose(found[name], box, atol=2 * max(grid, 1))

    def test_rows_are_owned_frames_in_order_best_first(self):
        image = drawn(360, 640, {"player": (50, 50, 70, 100), "referee": (200, 60, 220, 110)})
        image[50:60, 50:60] = GRASS  # a part of the player is missing: a lower score
        frames = [
            Frame(4, 0.16, image, owned=False),
            Frame(5, 0.20, image),
            Frame(6, 0.24, None),  # nothing decodes here
            Frame(7, 0.28, image),
        ]
        stage = stage_for(image, BlobNetwork(), image_size=640)
        table = detect(stage, *frames)
        assert table["frame"].to_pylist() == [5, 5, 7, 7]
        assert table["role"].to_pylist() == ["referee", "player"] * 2
        confidence = table["confidence"].to_numpy().reshape(2, 2)
        assert (confidence[:, 0] > confidence[:, 1]).all()

    def test_calls_of_any_length_give_equal_rows(self):
        """Batches are the engine's choice and must not show."""
        rng = np.random.default_rng(3)
        frames = []
        for number in range(6):
            x, y = (int(value) for value in rng.integers(10, 150, 2))
            image = drawn(180, 320, {"player": (x, y, x + 8, y + 20)})
            frames.append(Frame(number, number / 25, image))
        stage = stage_for(frames[0].image, BlobNetwork(), image_size=320)
        together = detect(stage, *frames)
        run = stage.begin()
        for frame in frames:
            run.take([frame])
        assert run.tables()["detections"].equals(together)
        assert detect(stage, *frames).equals(together)

    def test_a_frame_of_another_size_is_fitted_by_its_own(self):
        """Some files change size on the way."""
        small = drawn(180, 320, {"player": (40, 40, 60, 90)})
        large = drawn(360, 640, {"player": (80, 80, 120, 180)})
        stage = stage_for(small, BlobNetwork(), image_size=640)
        table = detect(stage, Frame(0, 0.0, small), Frame(1, 0.04, large))
        np.testing.assert_allclose(xyxy_of(table)[1], xyxy_of(table)[0] * 2, atol=2)

    def test_nothing_seen_is_a_table_without_rows(self):
        image = drawn(180, 320, {})
        stage = stage_for(image, BlobNetwork(), image_size=320)
        assert detect(stage, Frame(0, 0.0, image)).num_rows == 0
        assert detect(stage).num_rows == 0

    def test_options_reach_the_boxes(self):
        image = drawn(180, 320, {"player": (40, 40, 60, 90), "ball": (100, 100, 106, 106)})
        image[40:60, 40:50] = GRASS
        image[100:103, 100:103] = GRASS
        assert self._roles(image) == ["ball", "player"]
        assert self._roles(image, confidence_threshold=0.99) == ["ball"]
        assert self._roles(image, ball_confidence_threshold=0.99) == ["player"]

    def _roles(self, image, **options):
        stage = stage_for(image, BlobNetwork(), image_size=320, **options)
        return sorted(detect(stage, Frame(0, 0.0, image))["role"].to_pylist())


def bgr_to_lab(colour: tuple[int, int, int]) -> np.ndarray:
    """CIELab by its definition (CIE 15:2004, sRGB primaries, D65)."""
    share = np.array(colour[::-1]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = to_xyz @ linear / (0.95047, 1.0, 1.08883)
    fx, fy, fz = (
        v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in (x, y, z)
    )
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def dressed(shirt, shorts, grass=GRASS, height=80, width=32) -> tuple[np.ndarray, np.ndarray]:
    """A person of two colours on grass, and the box; legs and sides of the box show grass."""
    image = np.full((3 * height, 6 * width, 3), grass, np.uint8)
    box = np.float32([[2 * width, height, 3 * width, 2 * height]])
    middle = slice(2 * width + width // 5, 3 * width - width // 5)
    image[height : height + height // 2, middle] = shirt
    image[height + height // 2 : height + 7 * height // 10, middle] = shorts
    return image, box


class TestAppearance:
    def test_the_layout(self):
        image, box = dressed((40, 40, 220), (200, 100, 30))
        (vector,) = appearance.measure(image, box)
        assert vector.dtype == np.float16
        assert vector.shape == (64,)
        np.testing.assert_allclose(vector[0:3], bgr_to_lab((40, 40, 220)), atol=1)
        np.testing.assert_allclose(vector[3:6], bgr_to_lab((200, 100, 30)), atol=1)
        np.testing.assert_allclose(vector[6:9], bgr_to_lab(GRASS), atol=1)
        # the socks' region holds nothing but grass
        np.testing.assert_allclose(vector[9:12], [1, 1, 0])
        for shares in (slice(12, 39), slice(39, 51), slice(51, 63)):
            assert vector[shares].sum() == pytest.approx(1, abs=2e-3)
        # CIELab 48, 67, 44: a and b beyond the palette's last, L 33/35 of the way from 15 to 50
        torso = vector[12:39].reshape(3, 3, 3)
        np.testing.assert_allclose(torso[:2, 2, 2], [2 / 35, 33 / 35], atol=0.02)
        assert vector[63] == 0

    def test_grass_that_shows_through_does_not_count_as_cloth(self):
        image, box = dressed((40, 40, 220), (200, 100, 30))
        left, right = int(box[0, 0]), int(box[0, 2])
        image[:, (left + right) // 2 : right] = GRASS
        (vector,) = appearance.measure(image, box)
        np.testing.assert_allclose(vector[0:3], bgr_to_lab((40, 40, 220)), atol=1)
        assert vector[9] == pytest.approx(0.5, abs=0.05)

    def test_a_shadow_on_the_grass_is_grass(self):
        shaded = tuple(int(value * 0.6) for value in GRASS)
        image, box = dressed((240, 240, 240), (240, 240, 240))
        left, right = int(box[0, 0]), int(box[0, 2])
        image[:, (left + right) // 2 : right] = shaded
        (vector,) = appearance.measure(image, box)
        assert vector[9] == pytest.approx(0.5, abs=0.05)
        assert vector[0] == pytest.approx(bgr_to_lab((240, 240, 240))[0], abs=1)

    def test_a_kit_of_the_grass_colour_is_measured_and_says_so(self):
        image, box = dressed(GRASS, GRASS)
        (vector,) = appearance.measure(image, box)
        np.testing.assert_allclose(vector[0:3], bgr_to_lab(GRASS), atol=1)
        np.testing.assert_allclose(vector[9:12], 0)
        assert vector[12:39].sum() == pytest.approx(1, abs=2e-3)

    @pytest.mark.parametrize("kit", [(0, 100, 0), (60, 255, 200), (20, 20, 20), (250, 250, 250)])
    def test_dark_green_fluorescent_black_and_white_kits_are_not_grass(self, kit):
        (vector,) = appearance.measure(*dressed(kit, kit))
        np.testing.assert_allclose(vector[9:11], 1)

    def test_the_size_of_the_person_does_not_matter(self):
        vectors = [
            appearance.measure(*dressed((40, 40, 220), (200, 100, 30), height=h, width=w))[0]
            for h, w in ((24, 10), (80, 32), (400, 160))
        ]
        for vector in vectors[1:]:
            np.testing.assert_allclose(vector[:12], vectors[0][:12], atol=0.05)

    def test_neighbours_do_not_depend_on_each_other(self):
        image, box = dressed((40, 40, 220), (200, 100, 30))
        others = np.concatenate([box + 40, box, box - 30, 2 * box])
        together = appearance.measure(image, others)
        assert together[1].tobytes() == appearance.measure(image, box)[0].tobytes()

    def test_at_the_edge_of_the_picture(self):
        image, box = dressed((40, 40, 220), (200, 100, 30))
        corner = np.float32([[0, 0, 20, 40], [image.shape[1] - 3, image.shape[0] - 3, 1e4, 1e4]])
        assert np.isfinite(appearance.measure(image, corner)).all()
        assert appearance.measure(image, box[:0]).shape == (0, 64)

    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_masked_median_is_the_median_of_what_the_mask_keeps(self, seed):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(3, 9, 2)).astype(np.float32)
        mask = rng.random((3, 9)) < 0.5
        mask[:, 0] = True
        expected = [np.median(row[keep], axis=0) for row, keep in zip(values, mask, strict=True)]
        np.testing.assert_allclose(appearance.masked_median(values, mask), expected, rtol=1e-6)

    def test_the_ball_wears_nothing(self):
        image = drawn(180, 320, {"player": (40, 40, 60, 90), "ball": (100, 100, 106, 106)})
        table = detect(stage_for(image, BlobNetwork(), image_size=320), Frame(0, 0.0, image))
        worn = dict(zip(table["role"].to_pylist(), table["appearance"].to_pylist(), strict=True))
        assert worn["ball"] is None
        assert len(worn["player"]) == 64


def figures(height: int = 368, width: int = 640) -> np.ndarray:
    """A pitch with shaded stripes, lines, noise and eight rough people: not football, not flat."""
    rng = np.random.default_rng(1)
    image = np.full((height, width, 3), GRASS, np.uint8)
    image[:, :: width // 8] = 235
    for x, y in rng.integers((40, 80), (width - 40, height - 60), (8, 2)):
        shirt = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.ellipse(image, (int(x), int(y)), (7, 12), 0, 0, 360, shirt, -1)
        cv2.circle(image, (int(x), int(y) - 16), 4, (120, 150, 200), -1)
        cv2.rectangle(image, (int(x) - 5, int(y) + 10), (int(x) + 5, int(y) + 32), (30, 30, 30), -1)
    noise = rng.normal(0, 6, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + noise, 0, 255).astype(np.uint8)


class TestShippedModel:
    """models/detector.onnx, on every backend that runs it."""

    SIZE = (384, 640)

    def answer(self, backend: str, precision: str, threads: int = 1) -> np.ndarray:
        image, _, _ = letterbox(figures(), *self.SIZE)
        identity = identify(SHIPPED, backend, precision)
        model = load(SHIPPED, identity, self.SIZE, threads=threads)
        assert model.names == ROLES
        first, second = (outputs[0] for outputs in model.infer([image, image]))
        assert first.tobytes() == second.tobytes()
        return first

    def test_backends_agree_in_f32_within_a_pixel_and_a_hundredth(self):
        ours, theirs = self.answer("openvino", "f32"), self.answer("onnxruntime", "f32")
        # 8, 16 and 32 pixel cells: 48 * 80 + 24 * 40 + 12 * 20 = 5040 anchors
        assert ours.shape == theirs.shape == (1, 8, 5040)
        np.testing.assert_allclose(ours[0, :4], theirs[0, :4], atol=1)
        np.testing.assert_allclose(ours[0, 4:], theirs[0, 4:], atol=0.01)

    def test_threads_do_not_show_in_the_bytes(self):
        precision = "bf16" if Machine.here().bf16 else "f32"
        one = self.answer("openvino", precision, threads=1)
        assert one.tobytes() == self.answer("openvino", precision, threads=2).tobytes()

    def test_bf16_is_near_f32(self):
        """Where the CPU has it; elsewhere test_inference checks that it is refused."""
        precision = "bf16" if Machine.here().bf16 else "f32"
        exact, rounded = self.answer("openvino", "f32"), self.answer("openvino", precision)
        assert np.abs(exact[0, 4:] - rounded[0, 4:]).max() < 0.15
        sure = exact[0, 4:].max(axis=0) > 0.1
        assert np.abs(exact[0, :4, sure] - rounded[0, :4, sure]).max(initial=0) < 3

    @pytest.mark.real
    def test_people_of_a_match_that_took_no_part_in_training_are_found(self, real_data):
        """Match a9f16c chose among checkpoints; boxes meet at an overlap of 0.5 or more."""
        found = missed = extra = 0
        for path in sorted((real_data / "players" / "images").glob("a9f16c*"))[::5]:
            image = cv2.imread(str(path))
            truth = labelled_people(path, image.shape)
            people = self.people_in(image)
            overlap = intersection_over_union(truth, people)
            found += int((overlap.max(axis=1) >= 0.5).sum())
            missed += int((overlap.max(axis=1) < 0.5).sum())
            extra += int((overlap.max(axis=0) < 0.5).sum())
        assert found / (found + missed) > 0.93
        assert extra / (found + missed) < 0.15

    def people_in(self, image: np.ndarray) -> np.ndarray:
        configuration = ProcessingConfiguration.parse({"video_path": "-"})
        facts = MatchFacts(image.shape[1], image.shape[0], 25.0)
        stage = build_stage("player_detection", configuration, facts, threads=1)
        table = detect(stage, Frame(0, 0.0, image))
        return xyxy_of(table)[np.array(table["role"].to_pylist()) != "ball"]


def labelled_people(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes (n, 4) of all but class 0, the ball, from the YOLO label beside the image."""
    label = path.parents[1] / "labels" / f"{path.stem}.txt"
    rows = np.atleast_2d(np.loadtxt(label, np.float32))
    centre, half = rows[rows[:, 0] > 0, 1:3], rows[rows[:, 0] > 0, 3:5] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    return corners * np.float32([shape[1], shape[0]] * 2)
