"""``.pt`` files of tensors by user, read without running code and in memory bounded by the file's size.

A ``.pt`` is a pickle. It is read by torch's restricted reader, which builds tensors and plain containers and
refuses everything else.
"""

import os
import pickletools
import zipfile

import numpy as np

from recbole_sam.errors import DataError

MAX_GROWTH = 16
"""Times the file's size that its tensors may take: several users may share one, but not without end."""

_CODE = ("GLOBAL", "STACK_GLOBAL", "INST")  # what a pickle names functions and classes with


def read_tensors(path):
    """A {user: [k, H] tensor} mapping.

    Args:
        path (str or Path): written by ``torch.save``.

    Returns:
        dict: user token (str) -> numpy.ndarray float32 [k, H], the same k >= 1 and H >= 1 for all.

    Raises:
        DataError: the file is broken, wants to run code, or holds something else.
    """
    import torch

    _refuse_compressed(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken or hostile pickle leads torch's reader to
        raise _unread(path, error) from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} must hold a mapping from users to tensors [k, width].")
    named = {}
    for user, rows in content.items():
        token, what = _token(user), _unfit(rows)
        if token is None:
            raise DataError(f"{path}: users must be text or whole numbers, not {type(user).__name__}.")
        if token in named:
            raise DataError(f"{path}: user {token} occurs twice, as text and as a number.")
        if what:
            raise DataError(
                f"{path}: what user {token} has {what}. Save plain float tensors [k, width]: "
                "torch.save({user: tensor.detach().float().cpu().contiguous()})."
            )
        named[token] = rows
    size = sum(4 * rows.numel() for rows in named.values())
    if size > MAX_GROWTH * os.path.getsize(path):
        raise DataError(
            f"{path} has {os.path.getsize(path):,} bytes, but its tensors would take {size:,}: they repeat "
            "few numbers (expanded tensors). Save them whole, each with .contiguous()."
        )
    width = next(iter(named.values())).shape[1]
    vectors = {}
    for token, rows in named.items():
        vectors[token] = rows.resolve_neg().to(torch.float32).numpy()
        if rows.shape[1] != width or not np.isfinite(vectors[token]).all():
            raise DataError(f"{path}: the tensor of user {token} is not finite, or not of width {width}.")
    return vectors


def _token(user):
    """The token of a user as torch saved it, or None."""
    if isinstance(user, float) and user.is_integer():
        return str(int(user))
    return str(user) if isinstance(user, str | int) and not isinstance(user, bool) else None


def _unfit(rows):
    """Why what a user has is no matrix of plain floats, as the end of "what user u has ...", or None."""
    import torch

    if not isinstance(rows, torch.Tensor):
        return "is no tensor"
    if rows.is_nested or rows.layout is not torch.strided:
        return "is a sparse or nested tensor"
    if rows.device.type != "cpu":
        return f"is a tensor without numbers (device {rows.device})"
    if rows.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        return f"is a tensor of {str(rows.dtype).removeprefix('torch.')}"
    if rows.ndim != 2 or not rows.numel():
        return f"is a tensor of shape {list(rows.shape)}"
    return "is a tensor with gradients" if rows.requires_grad else None


def _refuse_compressed(path):
    """torch.save does not compress; who did may have packed far more than fits into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except Exception:  # no zip archive, or a broken one: for torch's reader to say
        return
    if packed:
        raise DataError(f"{path} is a compressed archive, which torch.save does not write: save it again.")


def _unread(path, error):
    if _names_code(path):
        return DataError(
            f"{path} holds more than tensors and plain containers, and was not loaded, because reading that "
            "means running code from the file. Save it again with torch.save({user: tensor})."
        )
    reason = " ".join(str(error).split())[:150] if isinstance(error, OSError) else "broken, or something else"
    return DataError(f"{path} is no file that torch.save wrote ({reason}).")


def _names_code(path):
    """Whether a file holds a whole pickle that names functions or classes."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(name) as file:
                    return _has_code(file)
        with open(path, "rb") as file:
            return _has_code(file)
    except Exception:  # no pickle: pickletools raises whatever its bytes lead it to
        return False


def _has_code(file):
    return any([opcode.name in _CODE for opcode, _, _ in pickletools.genops(file)])
