"""Taking an API key out of what a server said, before anybody shows or keeps it."""

import base64
import functools
import html
import json
import re
from urllib.parse import quote

STARS = "***"
_SURE = 8  # characters from which a key is no word that a text may hold by chance
_PART = 12  # characters of a key's beginning or end that give it away


def scrub(text, secret):
    """``text`` without a key, in any form that a server may repeat it in.

    Args:
        text: what was said; anything that has a ``str``.
        secret (str or None): the key.

    Returns:
        str: with ``***`` in its place, and in the place of whatever follows the word Bearer.
    """
    text = str(text)
    if not secret:
        return text
    text = text.replace(secret, STARS)
    if len(secret) >= _SURE:
        text = _forms(secret).sub(STARS, text)
    return re.sub(r"(?i)\b(bearer(?:\s|%20|\+){1,3})[^\s\"',;<>{}&\\]{1,1000}", rf"\1{STARS}", text)


def scrub_answer(text, secret):
    """A model's answer without the key.

    Args:
        text (str): the answer.
        secret (str or None): the key; one that could be a word, as local servers are given ("EMPTY",
            "ollama"), hides nothing and stays.
    """
    if not secret or len(secret) < _SURE or (len(secret) < 2 * _SURE and not re.search(r"\d", secret)):
        return text
    return _forms(secret).sub(STARS, text)


@functools.lru_cache(maxsize=8)
def _forms(secret):
    """A pattern of a key's forms, longest first; a cut one counts from twelve characters on."""
    raw = secret.encode()
    forms = {secret, json.dumps(secret)[1:-1], html.escape(secret), secret.replace("/", "\\/")}
    quoted = quote(secret, safe="")
    forms |= {quoted, quote(quoted, safe=""), "".join(f"%{b:02x}" for b in raw)}
    forms |= {"".join(f"\\u{b:04x}" for b in raw), "".join(f"&#{b};" for b in raw), raw.hex(), secret[::-1]}
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # whatever stands before the key, "Bearer " or "user:"
            digits = encoded(b"\0" * before + raw).decode()
            # those that the key alone decides
            forms.add(digits[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6])
    whole = [re.escape(form) for form in sorted(forms, key=len, reverse=True) if len(form) >= _SURE]
    if len(secret) >= 2 * _SURE:
        first, last = secret[:_PART], secret[-_PART:]
        whole += [re.escape(first) + r"[\w*.…-]{0,200}", re.escape(last)]
    return re.compile("|".join(whole), re.IGNORECASE)
