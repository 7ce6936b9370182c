"""``python -m recbole_sam doctor``: what is installed, what is adjusted, what is found.

It answers at once, so it imports neither RecBole nor, where no GPU can be, torch.
"""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

from recbole_sam import __version__, compat
from recbole_sam.config import yaml_files
from recbole_sam.encoders.encode import find_model
from recbole_sam.encoders.safe_load import first_line
from recbole_sam.errors import DataError
from recbole_sam.prepare.folder import is_synthetic

PACKAGES = ("recbole", "torch", "numpy", "pandas", "transformers", "dashscope", "setuptools", "ray")
API_KEYS = ("DASHSCOPE_API_KEY", "OPENAI_API_KEY")
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Files of the GPU drivers of NVIDIA, of Windows for Linux inside it, and of AMD."""


def add_parser(subparsers, help):
    """Adds the subcommand ``doctor``."""
    parser = subparsers.add_parser("doctor", help=help)
    parser.add_argument("--data_path", default="dataset", metavar="FOLDER", help="default: %(default)s")
    parser.add_argument(
        "--text_encoder", default="bert-base-uncased", metavar="MODEL", help="default: %(default)s"
    )
    return parser


def run(args):
    """Prints the state of this installation.

    Args:
        args (argparse.Namespace): ``data_path`` and ``text_encoder``.

    Returns:
        int: 0; a doctor reports, it does not fail.
    """
    sections = {
        "versions": versions,
        "RecBole 1.2.1, adjusted when it is imported (judged by version numbers, not tested)": adjustments,
        "hardware": hardware,
        "text encoder": lambda: [text_encoder(args.text_encoder)],
        "API keys": api_keys,
        "datasets": lambda: datasets(Path(args.data_path)),
    }
    for title, tell in sections.items():
        try:
            lines = tell()
        except Exception as error:  # the other sections are still of use, the more so when one fails
            lines = [f"unknown: {type(error).__name__}, {first_line(error)}"]
        print(title)
        print("\n".join(f"  {line}" for line in lines))
    return 0


def api_keys():
    """Lines telling which keys of language models the environment holds."""
    return [f"{name}: {'present' if os.environ.get(name) else 'absent'}" for name in API_KEYS]


def versions():
    """Lines with the versions that matter, this package's first."""
    lines = [f"recbole-sam {__version__} ({yaml_files.folder().parent})"]
    lines.append(f"Python {platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        number = compat.version(package)
        lines.append(f"{package} {'.'.join(map(str, number)) if number else 'not installed'}")
    return lines


def adjustments():
    """Lines telling which adjustments of RecBole are needed here, and why."""
    return [
        f"{'yes' if told.needed else 'not needed':<10} {told.name}: {told.reason} (upstream: {told.upstream})"
        for told in compat.report()
    ]


def hardware():
    """Lines about GPUs and cores."""
    return [f"{os.cpu_count()} CPU cores", *gpus()]


def gpus():
    """Lines with the GPUs that torch can use; torch, which takes seconds, is asked only where one can be."""
    if importlib.metadata.version("torch").endswith("+cpu"):
        return ["no GPU: the torch that is installed is built for CPUs only"]
    if not (shutil.which("nvidia-smi") or any(map(os.path.exists, DRIVERS))):
        return ["no GPU: there is no driver of one here (torch was not asked)"]
    import torch

    if not torch.cuda.is_available():
        return ["no GPU that torch can use: everything runs on the CPU"]
    return [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]


def text_encoder(name):
    """One line on whether a Transformers text encoder is found without a download."""
    try:
        return f"{name}: found in {find_model(name, download=False)}"
    except DataError as error:
        place = f"not found in ./{name}, LLMs/{name} or the Hugging Face cache (lsa needs none)"
        return f"{name}: {place}" if "on this machine" in str(error) else f"{name}: {error}"


def datasets(folder):
    """Lines with the datasets that can be run now."""
    lines = ["ml-100k: real data with movie titles, inside RecBole"]
    if not folder.is_dir():
        return [*lines, f"{folder} is no folder, so no others"]
    for inter in sorted(folder.glob("*/*.inter")):
        if inter.stem != inter.parent.name:
            continue
        item = inter.with_suffix(".item")
        kind = "SYNTHETIC sample" if is_synthetic(inter.parent) else "data"
        texts = "item file" if item.is_file() else "no item file, so no texts for SAM"
        lines.append(f"{inter.stem}: {kind} in {inter.parent}, {texts}")
    return lines
