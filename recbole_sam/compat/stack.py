"""RecBole on newer libraries than it was written for."""

import contextlib
import functools
import importlib.util
import os
import sys
import types
import warnings

from recbole_sam.compat.steps import at_least, called_by_recbole, step, version


@step(
    "RecBole reads names that numpy 1.24 and 2.0 removed (np.float, np.float_, ...)",
    "#2174, #2203",
    at_least("numpy", 1, 24),
)
def numpy_names():
    import numpy as np

    missing = {
        "float_": np.float64,
        "complex_": np.complex128,
        "unicode_": np.str_,
        # Config.__init__ sets these itself; a dataset or checkpoint that is unpickled needs them before.
        "float": float,
        "int": int,
        "object": object,
        "str": str,
    }
    with warnings.catch_warnings():  # numpy warns when a removed name is merely asked for
        warnings.simplefilter("ignore")
        missing = {name: value for name, value in missing.items() if not hasattr(np, name)}
    for name, value in missing.items():
        setattr(np, name, value)


def _ray_can_be_imported():
    """Whether the ray that is installed is one that RecBole can use, told without importing it."""
    installed = version("ray")
    return bool(
        installed
        and installed <= (2, 6, 3)
        and version("numpy") < (2,)
        and importlib.util.find_spec("pkg_resources")
    )


@step(
    "RecBole imports ray, for one call of tune.report; ray <= 2.6.3 cannot be imported with numpy 2 or "
    "setuptools 82, has no wheel for Python 3.12, and later versions changed the call",
    "#2155, #2215",
    lambda: not _ray_can_be_imported(),
)
def ray_tune():
    stand_in = types.ModuleType("ray")
    stand_in.tune = types.ModuleType("ray.tune")
    stand_in.tune.report = _report_to_live_ray
    with stand_ins(stand_in, stand_in.tune):
        import recbole.quick_start.quick_start  # noqa: F401  binds the stand-in as its own ``tune``


@contextlib.contextmanager
def stand_ins(*modules):
    """Modules that can be imported inside; after it, nobody may mistake them for those they stand in for."""
    names = [module.__name__ for module in modules]
    saved = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update(zip(names, modules, strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(saved)


def _report_to_live_ray(**metrics):
    """``tune.report`` of RecBole's dialect, for the ray that runs this process; outside ray, nothing."""
    tune = sys.modules.get("ray.tune")
    if tune is None:
        return
    if version("ray") <= (2, 6, 3):
        tune.report(**metrics)
        return
    session = tune if hasattr(tune, "get_context") else sys.modules["ray.train"]  # where older rays have it
    with warnings.catch_warnings():  # ray warns when it is asked outside a trial
        warnings.simplefilter("ignore")
        trial = session.get_context().get_trial_id()
    if trial is not None:
        session.report(metrics)


@step(
    "in a worker of Ray, RecBole takes Ray's own command line for its settings",
    "none yet",
    lambda: os.path.basename(sys.argv[0]) == "default_worker.py",
)
def ray_worker_words():
    from recbole.config.configurator import Config

    Config._load_cmd_line = lambda self: {}


@step(
    "thop, with which RecBole counts operations, imports distutils, which Python 3.12 removed",
    "none yet",
    lambda: importlib.util.find_spec("distutils") is None,  # setuptools brings its own
)
def thop_distutils():
    from torch.torch_version import TorchVersion

    stand_in = types.ModuleType("distutils")
    stand_in.version = types.ModuleType("distutils.version")
    stand_in.version.LooseVersion = TorchVersion  # thop compares versions of torch, nothing else
    with stand_ins(stand_in, stand_in.version):
        import thop.profile  # noqa: F401


@step(
    "pandas 3 turns df[field].fillna(inplace=True) into a no-op, so missing values would stay",
    "none yet",
    at_least("pandas", 3),
)
def pandas_fillna():
    import pandas as pd
    from recbole.data.dataset import dataset as module
    from recbole.utils import FeatureType

    class PandasWithFilledSequences:
        """pandas as ``recbole.data.dataset.dataset`` sees it: sequence columns are read without holes."""

        def __getattr__(self, name):
            return getattr(pd, name)

        @staticmethod
        def read_csv(*args, **kwargs):
            frame = pd.read_csv(*args, **kwargs)
            sequences = [column for column in frame if column.endswith("_seq")]
            return frame.fillna(dict.fromkeys(sequences, ""))

    fill_nan = module.Dataset._fill_nan

    @functools.wraps(fill_nan)
    def filled(self):
        for feat_name in self.feat_name_list:
            feat = getattr(self, feat_name)
            for field in feat:
                if self.field2type[field] == FeatureType.TOKEN:
                    feat[field] = feat[field].fillna(0)
                elif self.field2type[field] == FeatureType.FLOAT:
                    feat[field] = feat[field].fillna(feat[field].mean())
        with _quiet_chained_assignment():
            return fill_nan(self)

    load_feat = module.Dataset._load_feat

    @functools.wraps(load_feat)
    def quiet_load_feat(self, filepath, source):
        with _quiet_chained_assignment():
            return load_feat(self, filepath, source)

    to_interaction = module.Dataset._dataframe_to_interaction

    @functools.wraps(to_interaction)
    def quiet_to_interaction(self, data):
        with warnings.catch_warnings():  # pandas 3 hands out read-only arrays; RecBole only reads them
            warnings.filterwarnings("ignore", message=".*not writable.*")
            return to_interaction(self, data)

    module.pd = PandasWithFilledSequences()
    module.Dataset._dataframe_to_interaction = quiet_to_interaction
    module.Dataset._fill_nan = filled
    module.Dataset._load_feat = quiet_load_feat


@step(
    "pandas 2.2 warns in every run of the same fillna, which still works there",
    "none yet",
    lambda: (2, 2) <= (version("pandas") or ()) < (3,),
)
def pandas_fillna_warning():
    warnings.filterwarnings(
        "ignore", message="A value is trying to be set on a copy", category=FutureWarning,
        module=r"recbole\.data\.",
    )  # fmt: skip


@step(
    "pandas 3 applies agg(len) to a column as a whole; RecBole means each sequence in it",
    "none yet",
    at_least("pandas", 3),
)
def pandas_agg_len():
    import pandas as pd

    agg = pd.Series.agg

    @functools.wraps(agg)
    def agg_for_recbole(self, func=None, *args, **kwargs):
        if func is len and called_by_recbole():
            return self.map(len)
        return agg(self, func, *args, **kwargs)

    pd.Series.agg = agg_for_recbole


@contextlib.contextmanager
def _quiet_chained_assignment():
    """RecBole's own fillna calls find nothing left to fill, so pandas' warning about them says nothing."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ChainedAssignmentError)
        yield


@step(
    "torch 2.6 loads weights only by default, but RecBole's checkpoints hold a pickled Config",
    "#2174, #2212, #2215",
    at_least("torch", 2, 6),
)
def torch_load():
    import torch

    load = torch.load

    @functools.wraps(load)
    def load_for_recbole(*args, **kwargs):
        # Full unpickling runs code: only RecBole's own call sites, which read RecBole's own files, get it.
        if called_by_recbole():
            kwargs.setdefault("weights_only", False)
        return load(*args, **kwargs)

    torch.load = load_for_recbole


@step(
    "torch.cuda.amp is deprecated since torch 2.4 and warns in every epoch",
    "#2174",
    at_least("torch", 2, 4),
)
def amp_names():
    import torch
    from recbole.trainer import trainer

    trainer.amp = types.SimpleNamespace(
        GradScaler=functools.partial(torch.amp.GradScaler, "cuda"),
        autocast=functools.partial(torch.amp.autocast, "cuda"),
    )


@step(
    "numpy 2 prints np.float64(0.1) where RecBole's result lines used to print 0.1",
    "#2203",
    at_least("numpy", 2),
)
def plain_metrics():
    from recbole.evaluator.evaluator import Evaluator

    evaluate = Evaluator.evaluate

    @functools.wraps(evaluate)
    def evaluate_plain(self, dataobject):
        result = evaluate(self, dataobject)
        for metric, value in result.items():
            result[metric] = float(value)
        return result

    Evaluator.evaluate = evaluate_plain


@step(
    "scipy 1.13 removed dok_matrix._update, with which RecBole's graph models fill their matrix",
    "#2034, #2090, #2185",
    at_least("scipy", 1, 13),
)
def dok_matrix_update():
    from scipy.sparse import dok_matrix

    def update(self, data):
        self._dict.update(data)

    dok_matrix._update = update


@step(
    "hyperopt 0.2.6 draws from numpy's Generator, but RecBole's exhaustive search hands it a RandomState",
    "#1081, #1240, #1868",
    at_least("hyperopt", 0, 2, 6),
)
def exhaustive_search_draws():
    import numpy as np
    from recbole.trainer import hyper_tuning as module

    class NumpyWithGenerators:
        """numpy as ``recbole.trainer.hyper_tuning`` sees it: a RandomState is a Generator."""

        random = types.SimpleNamespace(RandomState=np.random.default_rng)

        def __getattr__(self, name):
            return getattr(np, name)

    module.np = NumpyWithGenerators()
