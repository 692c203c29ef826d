"""Numbers as people say them: digits one by one, prices, ordinals."""

from random import Random

_DIGITS = "zero one two three four five six seven eight nine"
DIGITS = _DIGITS.split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TEENS = _TEENS.split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = _TENS.split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth twelfth fifteenth twentieth"
)
ORDINALS = _ORDINALS.split()
SCALES = ["hundred", "thousand"]


def digit(dice: Random) -> str:
    """One to nine."""
    return dice.choice(DIGITS[1:])


def digits(dice: Random, least: int = 3, most: int = 7) -> str:
    """A number read digit by digit, of `least` to `most` digits."""
    return " ".join(dice.choice(DIGITS) for _ in range(dice.randint(least, most)))


def ordinal(dice: Random) -> str:
    return dice.choice(ORDINALS)


def number(dice: Random) -> str:
    """One to nineteen thousand, small ones more often."""
    kind = dice.random()
    if kind < 0.25:
        return digit(dice)
    if kind < 0.4:
        return dice.choice(TEENS)
    if kind < 0.75:
        return dice.choice(TENS) + (f" {digit(dice)}" if dice.random() < 0.7 else "")
    if kind < 0.92:
        rest = f" and {dice.choice(TENS)}" if dice.random() < 0.5 else ""
        return f"{digit(dice)} hundred{rest}"
    return f"{dice.choice(DIGITS[1:] + TEENS)} thousand"
