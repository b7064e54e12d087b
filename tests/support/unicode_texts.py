"""Seeded texts over many scripts, controls, marks, special tokens and long words, and a vocabulary for them."""

from __future__ import annotations

import random
import unicodedata

WORDS = ["the", "cat", "sat", "##s", "un", "##believ", "##able", "who", "was", "1", "##2", "3", "Cat", "THE"]

# Some of each script and pitfall; ranges are used completely.
ALPHABETS: dict[str, str] = {
    "ascii": "".join(map(chr, range(0x20, 0x7F))),
    "controls": "\t\n\r\x0b\x0c\x00\x01\x1b\x1c\x1f\x7f\x80\x85\x9f",
    "spaces": "\u00a0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000",
    "invisible": "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\ufffd\ufff9\ufe0f\u180e",
    "latin": "ÀÉÎÕÜßŒœĞğİıŁłŊŋŞşŻżƏǅǆȘțẞỆ\u1e9bﬁﬀÅÅ",
    "greek": "ΑΒΓΣσςάΐώΏἈᾳὍ·;΄",
    "cyrillic": "АБЖЙйёЁЇїҐԱաևѪ",
    "hebrew_arabic": "אבגשׁןװعربية؟،٠١٢ﷺﻻةآأٱ",
    "indic": "कखगक़ि्ी१।தமிழ்ையোৌ০ಕ್ೊമലൊෝꦏ꧀ᬓ᭄",
    "southeast_asian": "กขำ่้ฯลาວ່ຳកខ្គមြန်ကို",
    "hangul": "한글가각힣각ㄱㅏ",
    "kana": "ひらがなガぱゃーカタ゛゜ｶﾞｱ",
    "cjk": "中文漢字龍㐀一鿿豈𠀀𪜀丽〆〇々",
    "punctuation": "¡¿«»‘’“”„…–—―‹›•†‡‰′″、。「」【】〈〉！？，．：；（）［］｛｝＿～·՞؛।᠀⁓⸮",
    "symbols": "€£¥¢©®™°±×÷√∞≠≤←→■★☃①②½¾²³ªº℃Ω№㎏\u0378\u05ff\u2fff",
    "emoji": "😀😂🥹❤🔥👍🏽👩‍💻🏳‍🌈🇩🇪🧿\U0001fae8",
    "marks": "\u0300\u0301\u0308\u0327\u0328\u0345\u035c\u0483\u05b0\u064b\u0e38\u20d0\u20dd\ufe20\u302a",
    "private": "\ue000\ue001\ue002\ue007\uf8ff\U000f0000\U0010f000\U0010f001\U0010f004\U0010f0ff\U0010f100\U0010fffd",
    "nonchars": "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff",
    "mathematical": "𝐀𝓑𝔸𝟘ﬃⅣⅷ𝒳𐐀𐐨𞤀𞤢",
}
FRAGMENTS = [
    *(
        "[SEP]",
        "[CLS]",
        "[MASK]",
        "[UNK]",
        "[PAD]",
        "[sep]",
        "[ SEP ]",
        "[SEP",
        "SEP]",
        "[[SEP]]",
        "[MASK][MASK]",
    ),
    *(
        "the",
        "cat",
        "cats",
        "THE",
        "Cat",
        "unbelievable",
        "123",
        "don't",
        "e-mail",
        "http://a.b/c?d=e",
        "##s",
        "##",
    ),
    *(
        "İstanbul",
        "ΣΊΣΥΦΟΣ",
        "straße",
        "naïve",
        "Ａｂｃ",
        "１２３",
        "हिन्दी",
        "한국어",
        "日本語",
        "שלום",
        "مرحبا",
    ),
]


def vocabulary() -> list[str]:
    """Every character that the texts can become, whole and continuing: a wrong one shows as another id."""
    characters = set()
    for alphabet in ALPHABETS.values():
        for form in (alphabet, alphabet.lower(), alphabet.upper()):
            characters |= {*form, *unicodedata.normalize("NFD", form)}
    # U+10F000..U+10F100 carry special tokens inside the graph; a vocabulary with them would be refused.
    kept = sorted(
        c for c in characters if not c.isspace() and c != "\x00" and not 0x10F000 <= ord(c) <= 0x10F100
    )
    return list(dict.fromkeys([*WORDS, *kept, *(f"##{c}" for c in kept)]))


def generated_texts(count: int, seed: int) -> list[str]:
    """`count` texts of 0 to 12 pieces; the same for the same seed."""
    rng = random.Random(seed)
    return ["".join(_piece(rng) for _ in range(rng.randint(0, 12))) for _ in range(count)]


def _piece(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(FRAGMENTS) + rng.choice(["", " ", " "])
    if kind < 0.55:
        alphabet = rng.choice(list(ALPHABETS.values()))
        return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 6)))
    if kind < 0.85:
        return "".join(rng.choice(rng.choice(list(ALPHABETS.values()))) for _ in range(rng.randint(1, 8)))
    if kind < 0.98:
        return chr(
            rng.choice(
                [rng.randrange(0x20, 0xD800), rng.randrange(0xE000, 0x20000), rng.randrange(0xE000, 0x110000)]
            )
        )
    # Around the limit of 100 characters, with marks that normalization removes.
    return "".join(
        rng.choice("abcé\u0301ñαж한") for _ in range(rng.choice([33, 34, 98, 99, 100, 101, 102, 130]))
    )
