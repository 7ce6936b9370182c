"""What a language model says beside the phrases: greetings, refusals, remarks, sentences about the customer.

Lines come bare, on one line, with straight apostrophes. A refusal or a remark speaks of the model itself, and
names no interest.
"""

import re

_PREAMBLE = re.compile(
    r"^(sure|certainly|of course|okay|ok|here (are|is)|based on|the (customer|user)'?s? |these are"
    r"|below (are|is)|以下是|根据|好的|当然)",
    re.IGNORECASE,
)
_YES = r"(?:(?:sure|certainly|of\ course|absolutely|okay|ok|好的|当然|没问题)(?:\ thing)?\s*[,!，！])"
_HERE = r"(?:here(?:['’]s|\ is|\ are|\ you\ (?:go|are)|\ they\ are)|these\ are|below\ (?:is|are))\b"
_LIST_FOLLOWS = rf"(?:{_HERE}|以下是|根据)"
# Above the phrases, a line that is no phrase however short it is.
_OPENING = re.compile(
    rf"""{_YES} | here\ you\ (?:go|are)\b | {_LIST_FOLLOWS}.*(?:\b(?:interests?|phrases?)\b|兴趣)
      | (?:(?:the|your|key|main|top|likely|inferred|customer(?:'?s)?|user(?:'?s)?)\ )*(?:interests|兴趣)$""",
    re.VERBOSE | re.IGNORECASE,
)
# Before the phrases when everything is on one line.
_LEAD_IN = re.compile(
    rf"""{_YES}?\s*(?:(?:{_LIST_FOLLOWS}[^:：]{{0,80}}
      | (?:the\ |customer\ |user\ )?interests | answer | 兴趣)\s*[:：]\s*(?=\S))?""",
    re.VERBOSE | re.IGNORECASE,
)
_CANNOT = r"(?:can(?:not|'t|\ not)|(?:am|'m)\ (?:not\ able|unable))"
_AI = r"(?:ai|artificial\ intelligence|(?:large\ )?language\ model|(?:virtual\ |ai\ )assistant)"
# A refusal names the speaker and what it cannot do, or begs pardon. "Sorry! board game" and "I can read
# books" do neither, and "I can't believe it's not butter" is a brand.
_REFUSAL = re.compile(
    rf"""(?:(?:unfortunately|regrettably|however|but|well|oh|i(?:'m|\ am)\ afraid(?:\ that)?)\b[,\ ]+)?(?:
        i\ ?{_CANNOT}\b(?!\ (?:believe|stop|wait|live|get\ enough)\b)
      | i\ (?:won't|will\ not)(?:$ | \ (?:be|do|help|assist|provide|answer|comply|engage|respond|follow
          |generate|create|write|list|make|infer|fulfill?|continue|participate|share|give)\b)
      | .*\bi\ {_CANNOT}\ (?:to\ )?(?:\w+ly\ )?
        (?:assist|help\ (?:you|with)|provide|fulfill?|comply|determine|infer|identify|generate|complete)\b
      | i\ ?(?:am|'m)\ (?:\w+\ )?sorry(?:$ | [.!]\s | [.!,;:—–-]*\s*(?:
          but|however|for|that|this|there|about|if|to|as|we|your?|it|no|any
          | i\ ?(?:{_CANNOT}|(?:do|did|could|was|must)(?:n't)?|have|won't|will|am|'m))\b)
      | sorry(?:$ | \ (?:but|for\ (?:the|any)|about\ (?:the|that)|i\ ?{_CANNOT})\b
          | ,\ (?:but|however|i|we|this|that|there|your?|it|as|no|unable|{_CANNOT})\b)
      | i\ (?:\w+\ )?apologi[sz]e\b | (?:my\ |sincere\ )*apologies(?:$ | , | \ (?:but|for)\b)
      | as\ an?\ {_AI}\b | i\ ?(?:am|'m)\ (?:just\ |only\ )?an?\ {_AI}\b
      | i\ ?(?:am|'m)\ not\ (?:allowed|permitted|capable|comfortable|programmed|designed)\b
      | i\ (?:do\ not|don't)\ (?:have\ (?:access|enough|sufficient|any|the)|feel\ comfortable)\b
      | i\ (?:could\ not|couldn't)\ (?:find|determine|infer|identify|help|assist)\b
      | i\ (?:must|have\ to)\ (?:\w+\ )?(?:decline|refuse)\b
    )
      | [很非常十分实在真的]{{0,3}}(?:抱歉|对不起|對不起|不好意思)
        \s*(?:$|[，,。.！!；;：:]|[我但您你此该这由因无])
      | 很?遗憾[，,]
      | (?:.*[，,。！!])?我(?:无法|没有?办法|不能(?:提供|回答|协助|帮|满足|完成|生成|推断|处理|为))
      | (?:我是|作为)(?:一[个名款位种])?\s*(?:AI|人工智能|大?型?语言模型|智能助手)""",
    re.VERBOSE | re.IGNORECASE,
)
# What a model says around its answer and after a refusal.
_REMARK = re.compile(
    r"""(?:sure|certainly|of\ course|absolutely|okay|ok)!*$ | here\ you\ (?:go|are)[.!]*$
      | let\ me\ know\ (?:if|what|when|how|should)\b
      | (?:i\ )?hope\ (?:this|these|that)\ (?:helps?|meets?|is|are)\b
      | (?:please\ )?feel\ free\ to\b | please\ (?:let\ me|provide|note|share)\b | note(?::|\ that\b)
      | (?:is\ there\ anything\ else|(?:how\ )?(?:can|may)\ i\ (?:help|assist)\ you)\b
      | if\ you\ (?:have|need)\ (?:any|more|further)
      | these\ (?:\w+\ )?(?:interests|phrases)\ (?:are|cover|reflect|represent|capture)\b
      | 希望(?:这|以上|对) | 如有 | 如果?[您你](?:还|有|需要|想) | 请(?:提供|告诉|注意|问)""",
    re.VERBOSE | re.IGNORECASE,
)
# A sentence about the customer instead of an interest, as small models write.
_ABOUT = re.compile(
    r"""^(this|the|a|our)\ (customer|user|buyer|shopper|person)\ (\w+ly\ |also\ )?
    (is|was|has|had|may|might|can|could|would|will|who|likes|loves|prefers|enjoys|wants|needs|seems|appears|tends|looks
    |shows|uses|buys|bought|purchase[ds]|interested)\b""",
    re.IGNORECASE | re.VERBOSE,
)


def is_speech(line):
    """A refusal, or a remark of the model (bool)."""
    return bool(_REFUSAL.match(line) or _REMARK.match(line))


def is_about_the_customer(line):
    """A sentence about the customer instead of an interest (bool)."""
    return bool(_ABOUT.match(line))


def is_opening(line):
    """A greeting or a heading, above the phrases (bool)."""
    return bool(_OPENING.match(line))


def is_talk(line, alone):
    """A heading or a greeting rather than a phrase.

    Args:
        line (str): of the answer.
        alone (bool): whether it is the only one.
    """
    return line.endswith((":", "：", "[", "{")) or (
        not alone and bool(_PREAMBLE.match(line)) and len(line) > 40
    )


def without_lead_in(line):
    """A whole answer of one line without the greeting before its phrases (str)."""
    return line[_LEAD_IN.match(line).end() :]
