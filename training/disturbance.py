"""What happens to a picture between the pitch and the file, and other clothes for its people.

Pixels are BGR uint8 (height, width, 3) throughout; both networks train on pictures treated so.
"""

import cv2
import numpy as np
import numpy.typing as npt

GRASS_HUES = (32, 90)
"""Hues of grass as OpenCV counts them, in steps of 2 degrees."""
GRASS_SATURATION = 50
SHIRT, SHORTS = (0.13, 0.50), (0.48, 0.68)
"""Which part of a standing person's height each covers, from the top of the box."""
PLAYER = 0
LEAST_HEIGHT_PX = 10
KEEPS_ITS_CLOTHES = {0: 0.3, 1: 0.4, 2: 0.75}
"""How often a side, a keeper, the officials are left as they are. Officials of all leagues wear few
colours: dyed often, everybody beside the pitch who is unlike the sides looks like one."""

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def change_kits(image: Image, rng: np.random.Generator) -> Image:
    """Turn every hue but those of grass by one random angle: other shirts on the same pitch.

    A few matches show a few keepers and referees; without this their shirts are learnt by heart.
    """
    ring = np.r_[GRASS_HUES[1] : 180, 0 : GRASS_HUES[0]]
    table = np.arange(180)
    table[ring] = np.roll(ring, int(rng.integers(len(ring))))
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = table.astype(np.uint8)[hsv[..., 0]]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def change_shirts(
    image: Image, boxes: Floats, roles: npt.NDArray[np.int64], rng: np.random.Generator
) -> Image:
    """Dye the shirts and shorts of each side, of keepers and of officials in colours of their own.

    Who is a keeper must then be told by where he stands and by being unlike the others, not by the
    few shirts that the labelled keepers wear. Boxes (n, 4) are xyxy in pixels.
    """
    image = image.copy()
    for members in _groups(image, boxes, roles):
        if rng.random() < KEEPS_ITS_CLOTHES[int(roles[members[0]])]:
            continue
        shirt, shorts = _cloth(rng), _cloth(rng)
        for box in boxes[members]:
            _dye(image, box, SHIRT, shirt)
            _dye(image, box, SHORTS, shorts)
    return image


def _groups(
    image: Image, boxes: Floats, roles: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """Who wears the same: each keeper, the officials, and two sides told by their shirts."""
    tall = (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT_PX) & (roles <= 2)
    groups = [np.array([one]) for one in np.flatnonzero(tall & (roles == 1))]
    groups.append(np.flatnonzero(tall & (roles == 2)))
    players = np.flatnonzero(tall & (roles == PLAYER))
    shirts = [_shirt_colour(image, boxes[one]) for one in players]
    seen = [one for one, colour in zip(players, shirts, strict=True) if colour is not None]
    if len(seen) > 3:
        colours = np.array([c for c in shirts if c is not None], np.float32)
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
        cv2.setRNGSeed(0)
        _, side, _ = cv2.kmeans(colours, 2, None, stop, 2, cv2.KMEANS_PP_CENTERS)
        groups += [np.array(seen)[side.ravel() == number] for number in (0, 1)]
    return [group for group in groups if len(group)]


def _shirt_colour(image: Image, box: Floats) -> Floats | None:
    """Mean Lab colour (3,) of the cloth in the shirt's part of a box; None where there is none."""
    part = _part(image, box, SHIRT)
    if part.size == 0:
        return None
    cloth = ~_grass(part)
    if not cloth.any():
        return None
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2LAB)[cloth].mean(0), np.float32)


def _part(image: Image, box: Floats, span: tuple[float, float]) -> Image:
    """The view of `image` that shows the middle of a box between two shares of its height."""
    x0, y0, x1, y1 = (float(v) for v in box)
    inset, height = 0.1 * (x1 - x0), y1 - y0
    top, bottom = y0 + span[0] * height, y0 + span[1] * height
    rows = slice(max(round(top), 0), max(round(bottom), 0))
    return image[rows, max(round(x0 + inset), 0) : max(round(x1 - inset), 0)]


def _grass(part: Image) -> npt.NDArray[np.bool_]:
    hsv = cv2.cvtColor(part, cv2.COLOR_BGR2HSV)
    hue = (hsv[..., 0] >= GRASS_HUES[0]) & (hsv[..., 0] <= GRASS_HUES[1])
    return np.asarray(hue & (hsv[..., 1] > GRASS_SATURATION))


def _cloth(rng: np.random.Generator) -> Floats:
    """A colour of cloth (3,): a third of them white, grey or black."""
    hue, bright = rng.uniform(0, 180), rng.uniform(40, 235)
    saturation = rng.uniform(0, 25) if rng.random() < 0.35 else rng.uniform(90, 230)
    pixel = np.array([[[hue, saturation, bright]]]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def _dye(image: Image, box: Floats, span: tuple[float, float], colour: Floats) -> None:
    """Give what is no grass there this colour, its light and folds kept."""
    part = _part(image, box, span)
    if part.size == 0:
        return
    cloth = ~_grass(part)
    if not cloth.any():
        return
    value = part.max(axis=2).astype(np.float32)
    light = np.clip(value / max(float(value[cloth].mean()), 1.0), 0.4, 1.5)
    dyed = 0.88 * light[..., None] * colour + 0.12 * part
    part[cloth] = np.clip(dyed, 0, 255).astype(np.uint8)[cloth]


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Random light, colour, resolution, blur, captions, noise and JPEG compression."""
    if rng.random() < 0.9:
        image = _recolour(image, rng)
    if rng.random() < 0.3:
        image = _light(image, rng)
    if rng.random() < 0.28:
        image = _coarsen(image, rng)
    if rng.random() < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)).astype(np.uint8)
    if rng.random() < 0.16:
        image = _motion_blur(image, rng)
    if rng.random() < 0.12:
        image = _lettered(image, rng)
    if rng.random() < 0.12:
        image = _grain(image, rng)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 92))]
        coded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _recolour(image: Image, rng: np.random.Generator) -> Image:
    """Jitter hue, saturation and value, each by one random factor a picture."""
    gain = 1 + rng.uniform(-1, 1, 3) * [0.02, 0.5, 0.4]
    levels = np.arange(256)
    tables = [
        (levels + 180 * (gain[0] - 1)) % 180,
        np.clip(levels * gain[1], 0, 255),
        np.clip(levels * gain[2], 0, 255),
    ]
    channels = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    changed = [cv2.LUT(c, t.astype(np.uint8)) for c, t in zip(channels, tables, strict=True)]
    return np.asarray(cv2.cvtColor(cv2.merge(changed), cv2.COLOR_HSV2BGR), np.uint8)


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Night (a curve and a cast), haze, or the straight edge of a stand's shadow."""
    lit, kind = image.astype(np.float32) / 255, rng.random()
    if kind < 0.4:
        lit = lit ** float(np.exp(rng.uniform(-0.5, 0.8))) * rng.uniform(0.85, 1.15, 3)
    elif kind < 0.7:
        haze = rng.uniform(0.1, 0.6)
        lit = lit * (1 - haze) + haze * rng.uniform(0.5, 0.85)
    else:
        height, width = image.shape[:2]
        angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(1, 12)
        x, y = np.cos(angle), np.sin(angle)
        edge = x * rng.uniform(0, width) + y * rng.uniform(0, height)
        beyond = x * np.arange(width)[None, :] + y * np.arange(height)[:, None] - edge
        shade = np.clip(0.5 + beyond / (2 * soft), 0, 1) * rng.uniform(0.3, 0.65)
        lit = lit * (1 - shade[..., None])
    return np.asarray(np.clip(lit * 255, 0, 255), np.uint8)


def _coarsen(image: Image, rng: np.random.Generator) -> Image:
    """Shrink and enlarge again: footage whose own resolution is lower than the picture's."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.25, 0.85)
    down = cv2.INTER_AREA if rng.random() < 0.8 else cv2.INTER_NEAREST
    small = cv2.resize(image, (int(width * factor), int(height * factor)), interpolation=down)
    way = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur along one random direction, as a panning camera does."""
    length = int(rng.integers(3, 15))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    blurred = cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6))
    return np.asarray(blurred, np.uint8)


def _lettered(image: Image, rng: np.random.Generator) -> Image:
    """Broadcast graphics: letters that people show through, and at times a bar behind them."""
    height, width = image.shape[:2]
    layer, opaque = image.copy(), rng.uniform(0.25, 0.7)
    colour = tuple(float(v) for v in _cloth(rng)) if rng.random() < 0.5 else (235.0,) * 3
    letters = "".join(chr(65 + int(v)) for v in rng.integers(0, 26, int(rng.integers(3, 12))))
    scale = float(np.exp(rng.uniform(np.log(0.8), np.log(4))))
    stroke = max(int(scale * rng.uniform(1, 4)), 1)
    face = cv2.FONT_HERSHEY_SIMPLEX
    (across, up), _ = cv2.getTextSize(letters, face, scale, stroke)
    left = int(rng.integers(-across // 2, max(width - across // 2, 1)))
    base = int(rng.integers(up // 2, height + up // 2))
    if rng.random() < 0.4:
        bar = tuple(float(v) for v in _cloth(rng))
        cv2.rectangle(layer, (left - 9, base - up - 9), (left + across + 9, base + 9), bar, -1)
    cv2.putText(layer, letters, (left, base), face, scale, colour, stroke, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(layer, opaque, image, 1 - opaque, 0), np.uint8)


def _grain(image: Image, rng: np.random.Generator) -> Image:
    """Noise of a sensor in little light."""
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
    cv2.randn(noise, (0.0, 0.0, 0.0), (float(rng.uniform(3, 16)),) * 3)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)
