"""The address of a server that a language model is asked at (``llm_base_url``)."""

from urllib.parse import urlsplit

from recbole_sam.errors import SettingError


def server_address(url):
    """An address in the one form that is asked, shown and stored.

    It is part of an interest store, of logs and of the command that builds a store, so nothing secret may be
    in it. The sentences here do not repeat it, for the same reason.

    Args:
        url (str): such as ``http://127.0.0.1:8000/v1/``.

    Returns:
        str: without a last slash.

    Raises:
        SettingError: it is no http or https address, or holds a user, a password, a query or a fragment.
    """
    try:
        parts = urlsplit(str(url))
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number or above 65535, half a bracket
        good = False
    if not good:
        raise SettingError(
            "llm_base_url must be an address such as http://127.0.0.1:8000/v1, and is not."
        ) from None
    if "@" in parts.netloc:
        raise SettingError(
            "llm_base_url must not hold a user name or a password, since it is kept with the interests: give "
            "the address without them, and the key in the environment (llm_api_key_env names its variable)."
        )
    if parts.query or parts.fragment:
        raise SettingError(
            "llm_base_url must end with a path such as /v1: leave out what begins with ? or #."
        )
    return parts._replace(path=parts.path.rstrip("/")).geturl()
