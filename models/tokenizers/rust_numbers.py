"""Numbers of tokenizer.json as the Rust tokenizer reads them. No TensorFlow here.

serde_json rounds twice: the digits to float64, then their quotient by a power of ten. So the result can be the neighbour of
the float64 that Python reads, and with it the most probable pieces of a word can be others where two sums are equal.
"""

from __future__ import annotations

_LARGEST = (1 << 64) - 1  # digits that no longer fit are ignored
_STEP = 308  # the highest power of ten


def rust_float(text: str) -> float:
    """`"-7.2542805671691895"` -> -7.254280567169189, where Python reads -7.2542805671691895.

    Args:
        text: a JSON number with a point or an exponent.

    Raises:
        ValueError: it is out of range, which the Rust tokenizer refuses, too.
    """
    digits, _, exponent = text.lower().removeprefix("-").partition("e")
    whole, _, fraction = digits.partition(".")
    power = int(exponent or 0) - len(fraction)
    significand = int(whole + fraction)
    if significand > _LARGEST:
        significand, kept = _fitting(whole + fraction)
        power += len(whole + fraction) - kept
    value = float(significand)
    while value and power < -_STEP:
        value /= float(f"1e{_STEP}")
        power += _STEP
    if value and power > _STEP:
        raise ValueError(f"number out of range: {text}")
    if value:
        value = value * float(f"1e{power}") if power >= 0 else value / float(f"1e{-power}")
    if value == float("inf"):
        raise ValueError(f"number out of range: {text}")
    return -value if text.startswith("-") else value


def _fitting(digits: str) -> tuple[int, int]:
    """The first digits that fit into 64 bits, as a number, and how many these are."""
    significand = 0
    for kept, digit in enumerate(digits):
        longer = significand * 10 + int(digit)
        if longer > _LARGEST:
            return significand, kept
        significand = longer
    return significand, len(digits)
