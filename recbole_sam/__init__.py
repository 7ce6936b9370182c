"""recbole-sam: LLM-semantic multi-interest sequential recommendation inside RecBole.

Importing this package is cheap: it loads neither RecBole nor torch, no network and no model. Once RecBole is
imported, before or after, it runs on today's stack (:mod:`recbole_sam.compat`), and its own functions know
the plugin's models, datasets and properties (:mod:`recbole_sam.registry`).

Public are this package's names, the bundle that :func:`load` gives, the errors in
:mod:`recbole_sam.errors`, the commands of :mod:`recbole_sam.cli.main`, and the models as RecBole hands them
out. Everything else is an implementation detail and may change.
"""

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.version import VERSION
from recbole_sam.when_imported import register_with_recbole

__all__ = ["RecBoleSAMError", "__version__", "load"]
__version__ = VERSION

register_with_recbole()


def load(folder):
    """Opens a bundle: a trained model that answers without its dataset.

    Args:
        folder (str or Path): as ``python -m recbole_sam bundle`` wrote it.

    Returns:
        recbole_sam.serving.bundle.Bundle: with ``recommend``, ``recommend_all``, ``similar``,
        ``explain``, ``interests``, ``with_items`` and ``with_index``.

    Raises:
        DataError: there is no bundle, it is damaged, or a newer version wrote it.
    """
    from recbole_sam.serving.bundle import Bundle

    return Bundle(folder)
