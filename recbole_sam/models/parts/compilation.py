"""``torch.compile``, with a machine that cannot compile as one sentence."""

import torch

from recbole_sam.errors import SettingError


def compiled(function):
    """A function compiled by ``torch.compile`` when it is first called.

    Args:
        function (callable): takes positional arguments. A method is to be given as the class's, so that a
            copy of the object is not served by the original.

    Returns:
        callable: the same function, faster. It raises SettingError when torch cannot compile here.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    try:
        fast = torch.compile(function)
    except RuntimeError as error:  # torch knows at once that it has no compiler for this Python or system
        raise _cannot(error) from error

    def call(*args):
        try:
            return fast(*args)
        except TorchDynamoException as error:
            raise _cannot(error) from error

    return call


def _cannot(error):
    reason = str(error).strip().partition("\n")[0].rstrip(".:")
    return SettingError(
        f"compile is True, but torch.compile does not work here ({reason}): install what it lacks (on a CPU "
        "a C++ compiler, on a GPU Triton) or set compile to False."
    )
