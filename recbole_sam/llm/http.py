"""What the generators that speak HTTP themselves share: httpx, its clients and their answers."""

import logging
import os

from recbole_sam.errors import SettingError
from recbole_sam.llm.failures import ProviderStopError

_PROXIES = ("all_proxy", "https_proxy", "http_proxy", "no_proxy")


def http_library(generator):
    """``httpx``, imported at first use.

    Raises:
        ProviderStopError: it is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise ProviderStopError(f"The {generator} generator needs httpx: pip install httpx.") from error
    return httpx


def http_client(kind, **options):
    """An httpx client; it reads proxies and certificates from the environment, and may not like them.

    Args:
        kind (type): ``httpx.Client`` or ``httpx.AsyncClient``.
        **options: its own.

    Raises:
        SettingError: which variable cannot be used, without its value, which may hold a password.
    """
    import httpx

    # RecBole shows everything from INFO up, and httpx has a line for every call; httpcore shows, from DEBUG
    # up, all headers of a response, and servers may repeat a key there.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        # A redirect would take key and prompts to whoever it names.
        return kind(follow_redirects=False, **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        names = ", ".join(sorted(name for name in os.environ if name.lower() in _PROXIES))
        advice = (
            "a SOCKS proxy needs one more package, pip install 'httpx[socks]'"
            if isinstance(error, ImportError)
            else "write it as http://host:port, https://host:port or socks5://host:port"
        )
        raise SettingError(
            f"The proxy in {names or 'the system settings'} cannot be used: {advice}; or unset it."
        ) from None
    except OSError as error:
        raise SettingError(
            f"The certificates in the environment (SSL_CERT_FILE, SSL_CERT_DIR) cannot be read ({error}): "
            "fix or unset the variable."
        ) from None


def decoded(response):
    """The JSON of an httpx response, or None when it is none."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
