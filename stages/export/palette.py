"""The colours of pictures and pages: one for each team, told apart by colour-blind eyes too.

They are not the shirts' colours: a team is the same colour in every match.
"""

HEX = {
    "home": "#e8452c",
    "away": "#2f7de1",
    "referee": "#f2c230",
    "unknown": "#c9ced6",
}
TEXT_HEX = {"home": "#ffffff", "away": "#ffffff", "referee": "#1b1f24", "unknown": "#1b1f24"}


def bgr(hex_colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as OpenCV wants it."""
    red, green, blue = (int(hex_colour[at : at + 2], 16) for at in (1, 3, 5))
    return blue, green, red


BGR = {name: bgr(colour) for name, colour in HEX.items()}
