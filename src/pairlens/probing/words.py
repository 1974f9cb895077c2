"""What each alteration is called, and what it means to be blind to it or to keep it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """An alteration in plain words."""

    noun: str  # within a sentence
    blind: str  # a sentence about an encoder that is blind to it
    keeps: str  # and about one that is not
    needs: str  # tasks that are lost with it


WORDS: Mapping[str, Words] = {
    "brightness": Words(
        "brightness",
        "To it a dark picture and a bright one are the same.",
        "It can tell a dark picture from a bright one.",
        "telling day from night, exposure, or how dense something is",
    ),
    "contrast": Words(
        "contrast",
        "To it a faint picture and a bold one are the same.",
        "It can tell a faint picture from a bold one.",
        "telling fog or glare, or how strongly something is stained",
    ),
    "saturation": Words(
        "saturation",
        "To it a pale picture and a vivid one are the same.",
        "It can tell a pale picture from a vivid one.",
        "telling ripe from unripe, or fresh from faded",
    ),
    "hue": Words(
        "hue",
        "It cannot tell a red car from a blue one.",
        "It can tell a red car from a blue one.",
        "telling birds, flowers, signals or stains by their colour",
    ),
    "gray": Words(
        "gray",
        "To it a picture in colour and the same in gray are one.",
        "It can tell a picture in colour from one in gray.",
        "whatever colour alone decides",
    ),
    "blur": Words(
        "blur",
        "To it a sharp picture and a blurred one are the same.",
        "It can tell a sharp picture from a blurred one.",
        "telling whether something is in focus, or how fine its grain is",
    ),
    "rotation": Words(
        "rotation",
        "It cannot tell which way is up.",
        "It can tell which way is up.",
        "telling 6 from 9, arrows, poses, or whether a photograph lies on its side",
    ),
    "flip": Words(
        "flip",
        "It cannot tell left from right.",
        "It can tell left from right.",
        "reading, or telling a left hand from a right one",
    ),
    "scale": Words(
        "scale",
        "To it a thing seen whole and its middle seen close up are the same.",
        "It can tell a thing seen whole from its middle seen close up.",
        "telling sizes and distances, or counting",
    ),
    "position": Words(
        "position",
        "It cannot tell where in the picture something is.",
        "It can tell where in the picture something is.",
        "locating things, or following them",
    ),
    "texture": Words(
        "texture",
        "It cannot tell what a surface is like.",
        "It can tell what a surface is like.",
        "telling materials, fur, fabrics or wood by their surface",
    ),
}
