"""recbole-sam: LLM-semantic multi-interest sequential recommendation inside RecBole.

Importing this package makes RecBole 1.2.1 run on today's stack (:mod:`recbole_sam.compat`) and makes
RecBole's own functions know the plugin's models, datasets and properties
(:mod:`recbole_sam.registry`). It reads no network and loads no model.
"""

from recbole_sam.registry import register
from recbole_sam.version import VERSION

__version__ = VERSION

register()
