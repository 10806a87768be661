"""The weighted length of a post, as X counts it (twitter-text configuration 3, August 2026).

Latin and other scripts below U+1100 and some punctuation weigh 1, everything else 2; an emoji is 2 whatever it is made
of (skin tone, joiner, flag, keycap), and an address 23. The text is counted in its composed form (NFC).

Two shortcuts, to the safe side: joined emoji newer than Unicode 13 count as their parts; and of addresses only the
plain `https://host.com/path` is counted as 23, whatever else may be one ("BTC.com") as 23 besides its characters.
"""

from __future__ import annotations

import re
from unicodedata import normalize

LIMIT = 280
ADDRESS = 23

_LIGHT = ((0, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
_TONE = "[\U0001f3fb-\U0001f3ff]"
_SIGN = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u2328\u23cf\u23ed-\u23ef\u23f1\u23f2"
    "\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb\u25fc\u2600-\u2604\u260e\u2611\u2618\u261d\u2620"
    "\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u265f\u2660\u2663\u2665\u2666\u2668"
    "\u267b\u267e\u2692\u2694-\u2697\u2699\u269b\u269c\u26a0\u26b0\u26b1\u26c8\u26cf\u26d1\u26d3\u26e9"
    "\u26f0\u26f1\u26f4\u26f7-\u26f9\u2702\u2708\u2709\u270c\u270d\u270f\u2712\u2714\u2716\u271d\u2721"
    "\u2733\u2734\u2744\u2747\u2763\u2764\u27a1\u2934\u2935\u2b05-\u2b07\u3030\u303d\u3297\u3299"
    "\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f202\U0001f237\U0001f321\U0001f324-\U0001f32c"
    "\U0001f336\U0001f37d\U0001f396\U0001f397\U0001f399-\U0001f39b\U0001f39e\U0001f39f\U0001f3cb-"
    "\U0001f3ce\U0001f3d4-\U0001f3df\U0001f3f3\U0001f3f5\U0001f3f7\U0001f43f\U0001f441\U0001f4fd"
    "\U0001f549\U0001f54a\U0001f56f\U0001f570\U0001f573-\U0001f579\U0001f587\U0001f58a-\U0001f58d"
    "\U0001f590\U0001f5a5\U0001f5a8\U0001f5b1\U0001f5b2\U0001f5bc\U0001f5c2-\U0001f5c4\U0001f5d1-"
    "\U0001f5d3\U0001f5dc-\U0001f5de\U0001f5e1\U0001f5e3\U0001f5e8\U0001f5ef\U0001f5f3\U0001f5fa"
    "\U0001f6cb\U0001f6cd-\U0001f6cf\U0001f6e0-\U0001f6e5\U0001f6e9\U0001f6f0\U0001f6f3]"
)
_PERSON = (
    "[\u261d\u26f9\u270a-\u270d\U0001f385\U0001f3c2-\U0001f3c4\U0001f3c7\U0001f3ca-\U0001f3cc\U0001f442"
    "\U0001f443\U0001f446-\U0001f450\U0001f466-\U0001f469\U0001f46b-\U0001f46e\U0001f470-\U0001f478"
    "\U0001f47c\U0001f481-\U0001f483\U0001f485-\U0001f487\U0001f4aa\U0001f574\U0001f575\U0001f57a"
    "\U0001f590\U0001f595\U0001f596\U0001f645-\U0001f647\U0001f64b-\U0001f64f\U0001f6a3\U0001f6b4-"
    "\U0001f6b6\U0001f6c0\U0001f6cc\U0001f90f\U0001f918-\U0001f91c\U0001f91e\U0001f91f\U0001f926"
    "\U0001f930-\U0001f939\U0001f93d\U0001f93e\U0001f9b5\U0001f9b6\U0001f9b8\U0001f9b9\U0001f9bb"
    "\U0001f9cd-\U0001f9cf\U0001f9d1-\U0001f9dd]"
)
_FLAGS = (  # ISO 3166 and the few that Unicode adds, two letters each
    "ACADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCO"
    "CPCRCUCVCWCXCYCZDEDGDJDKDMDODZEAECEEEGEHERESETEUFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHK"
    "HMHNHRHTHUICIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMK"
    "MLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASB"
    "SCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTATCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUNUSUYUZVAVCVEVGVIVNVU"
    "WFWSXKYEYTZAZMZW"
)
_ROLES = "⚕⚖✈🌾🍳🍼🎄🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒🤝🦯🦰🦱🦲🦳🦼🦽"
_JOINED = (  # what is joined with U+200D, besides people
    "🏳\ufe0f?\u200d🌈|🏳\ufe0f?\u200d⚧\ufe0f?|🏴\u200d☠\ufe0f?|🐈\u200d⬛|🐕\u200d🦺|🐻\u200d❄\ufe0f?|👁\ufe0f?\u200d🗨\ufe0f?"
)
_HUMAN = f"[👨👩🧑]{_TONE}?"
_EMOJI = "|".join(
    (
        *re.findall(
            "..", _FLAGS.translate({letter: 0x1F1E6 + letter - ord("A") for letter in range(65, 91)})
        ),
        "🏴\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f",
        _JOINED,
        f"{_HUMAN}\u200d(?:🤝\u200d|❤\ufe0f?\u200d(?:💋\u200d)?){_HUMAN}",
        "[👨👩](?:\u200d[👨👩])?(?:\u200d[👦👧]){1,2}",
        f"🫱{_TONE}\u200d🫲{_TONE}",
        f"{_HUMAN}\u200d[{_ROLES}]\ufe0f?",
        f"(?:(?![👨👩🧑]){_PERSON}(?:{_TONE}|\ufe0f)?|[👯🤼🧞🧟])\u200d[♀♂]\ufe0f?",
        "[#*0-9]\ufe0f?\u20e3",
        f"{_PERSON}{_TONE}",
        f"{_SIGN}\ufe0f",
        "[©®]",
    )
)
_PLAIN = r"(?<!\S)https?://(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?:com|io|net|org)(?:/[a-z0-9_/-]*)?(?!\S)"
_LIKE = r"(?<=[^\W_])\.[^\W\d_]{2,}"
_TOKEN = re.compile(
    f"(?P<address>{_PLAIN})|(?P<like>{_LIKE})|(?P<emoji>{_EMOJI})|(?P<other>.)", re.DOTALL | re.IGNORECASE
)


def weighted_length(text: str) -> int:
    """How many of its 280 characters X counts this text as.

    >>> weighted_length("1,284 liquidations 🔥"), weighted_length("清算"), weighted_length("https://a.com/b")
    (21, 4, 23)
    """
    text = normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return sum(_weight(token) for token in _TOKEN.finditer(text))


def _weight(token: re.Match[str]) -> int:
    if token["address"]:
        return ADDRESS
    if token["like"]:
        return ADDRESS + sum(map(_character, token["like"]))
    return 2 if token["emoji"] else _character(token["other"])


def _character(character: str) -> int:
    return 1 if any(first <= ord(character) <= last for first, last in _LIGHT) else 2
