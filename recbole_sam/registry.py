"""Makes RecBole's own functions know the plugin's models, datasets and properties.

Everything RecBole looks up by name is answered here: the model's module, ``<Model>Dataset``, and the YAML
defaults. RecBole's trainer, evaluator and built-in models stay as they are.
"""

import functools
import importlib.util
import types

import yaml

from recbole_sam import compat
from recbole_sam.compat.literals import identifier
from recbole_sam.config import our_models, setting_names, yaml_files
from recbole_sam.errors import SettingError
from recbole_sam.llm.address import server_address
from recbole_sam.llm.settings import check_key_name

_registered = False


def register():
    """Bends RecBole once a process; further calls do nothing.

    After it, ``Config(model="SAM")``, ``run_recbole``, ``create_dataset``, ``get_model``, ``get_trainer``,
    ``load_data_and_model``, ``objective_function`` and the workers of ``run(nproc=2)`` know every model
    that has a file in ``recbole_sam/models`` and a YAML in ``properties/model``.
    """
    global _registered
    if _registered:
        return
    _registered = True
    compat.apply()
    _register_names()
    _register_properties()
    _register_dataset_checks()
    _register_workers()


# What a saved dataset or dataloader was made with beside the dataset's own settings: the split, samples.
_SAVED_WITH = ("eval_args", "encoding", "train_neg_sample_args", *setting_names.LISTED_OF_MODELS)


# What our losses are to RecBole: BCE takes a positive and a negative, sampled softmax a target a sample.
_INPUT_TYPES = {"BCE": "PAIRWISE", "SSM": "POINTWISE"}


def _register_names():
    """RecBole finds our models and datasets where it looks for its own; they are imported when asked for."""
    import recbole.data.dataset
    from recbole.utils import utils

    ours = {f"recbole.model.sequential_recommender.{name.lower()}" for name in yaml_files.model_names()}

    def import_module(name, package=None):
        if name in ours:
            name = f"recbole_sam.models.{name.rpartition('.')[2]}"
        return importlib.import_module(name, package)

    def find_spec(name, package=None):
        return name in ours or importlib.util.find_spec(name, package)

    def dataset_class(name):
        model = name.removesuffix("Dataset")
        if name != model and our_models.can_read_item_texts(model):
            return our_models.dataset_class(model)
        raise AttributeError(f"module 'recbole.data.dataset' has no attribute '{name}'")

    # what get_model() looks modules up with
    utils.importlib = types.SimpleNamespace(
        import_module=import_module, util=types.SimpleNamespace(find_spec=find_spec)
    )
    recbole.data.dataset.__getattr__ = dataset_class  # which create_dataset() asks for <Model>Dataset


def _is_sequential_of_recbole(model_class):
    """Whether a model is RecBole's own, not one that a user wrote."""
    from recbole.utils import ModelType

    return model_class.type == ModelType.SEQUENTIAL and model_class.__module__.startswith("recbole.")


def _register_properties():
    """Our YAML files and checks in RecBole's ``Config``, which reads each file once a process."""
    from recbole.config.configurator import Config
    from recbole.utils import InputType, ModelType

    get_model_and_dataset = Config._get_model_and_dataset
    load_internal = Config._load_internal_config_dict

    @functools.wraps(get_model_and_dataset)
    def checked_model_and_dataset(self, model, dataset):
        name = model if model is not None else self.external_config_dict.get("model")
        if isinstance(name, str):
            setting_names.check_model(name)
        return get_model_and_dataset(self, model, dataset)

    @functools.wraps(load_internal)
    def load_with_ours(self, model, model_class, dataset):
        load_internal(self, model, model_class, dataset)
        _add_defaults(self, model, dataset)
        internal, given = self.internal_config_dict, self.external_config_dict
        if given.get("llm_base_url") is not None:
            server_address(given["llm_base_url"])  # RecBole logs the settings of every model
        if given.get("llm_api_key_env") is not None:
            check_key_name(given["llm_api_key_env"])
        loss = given.get("loss_type", internal.get("loss_type"))
        if model_class.type == ModelType.SEQUENTIAL:
            _mend_sequential_defaults(internal, given, loss)
        _check_loss(model, model_class, loss)
        _check_teacher(given.get("teacher"))
        if model in yaml_files.model_names():
            if loss in _INPUT_TYPES:
                internal["MODEL_INPUT_TYPE"] = InputType[_INPUT_TYPES[loss]]
            setting_names.check_names(given, model)
            targets = given.get("train_targets", internal.get("train_targets"))
            if targets == "sequence" and not our_models.learns_sequences(model):
                raise SettingError(
                    f"{model} cannot learn from whole sequences: leave train_targets out, or set it to 'all'."
                )

    def update_internal(self, file):
        content = _read(self, file)
        self.internal_config_dict.update(content)
        return content

    def load_files(self, files):
        return {name: value for file in files or () for name, value in _read(self, file).items()}

    Config._update_internal_config_dict, Config._load_config_files = update_internal, load_files
    Config._get_model_and_dataset = checked_model_and_dataset
    Config._load_internal_config_dict = load_with_ours


def _read(config, file):
    """A YAML file's plain types, with RecBole's rule for floats; its own loader knows functions by name."""
    rules = {"yaml_implicit_resolvers": config.yaml_loader.yaml_implicit_resolvers}
    return yaml.load(yaml_files.text(file), Loader=type("PlainLoader", (yaml_files.SafeLoader,), rules)) or {}


def _add_defaults(config, model, dataset):
    """The plugin's YAML files, over RecBole's own and under everything a user gives."""
    files = [yaml_files.evaluation_file()]
    if our_models.can_read_item_texts(model):
        files += [yaml_files.interests_file(), yaml_files.llm_file()]
    if model in yaml_files.model_names():
        files.append(yaml_files.model_file(model))
    if yaml_files.dataset_file(dataset).is_file():
        files.append(yaml_files.dataset_file(dataset))
    for file in files:
        defaults = config._update_internal_config_dict(file)
        config.internal_config_dict.pop("source", None)  # how prepare gets the data: no setting of a run
        if file != yaml_files.model_file(model):
            _compare_before_reuse(config, (name for name in defaults if name != "source"))
    _compare_before_reuse(config, _SAVED_WITH)


def _compare_before_reuse(config, names):
    """Names settings that RecBole compares before it uses a saved dataset or dataloader again."""
    listed = config.parameters["Dataset"]
    listed += [name for name in names if name not in listed]


def _mend_sequential_defaults(internal, given, loss):
    """RecBole's defaults that its sequential models cannot work with, where the user gives none."""
    if loss in ("CE", "SSM"):
        # RecBole's default (uniform negatives) is an error with its own default loss of these models,
        # and of no use to sampled softmax, which draws its own.
        internal["train_neg_sample_args"] = None
    if "load_col" not in given:
        # RecBole's default for a dataset without a preset leaves out the time that these models need.
        time_field = given.get("TIME_FIELD", internal["TIME_FIELD"])
        columns = internal["load_col"].get("inter") if internal.get("load_col") else None
        if isinstance(columns, list) and time_field not in columns:
            columns.append(time_field)


def _check_loss(model, model_class, loss):
    allowed = (loss,)
    if model in yaml_files.model_names():
        allowed = getattr(model_class, "loss_types", None) or allowed
    elif _is_sequential_of_recbole(model_class) and loss and not hasattr(model_class, "input_type"):
        allowed = ("CE", "BPR")  # of another RecBole makes no kind of samples, and fails much later
    if loss not in allowed:
        raise SettingError(f"loss_type is '{loss}'; {model} knows {', '.join(allowed)}.")


def _check_teacher(name):
    """KD_DAGFM of RecBole evaluates this setting as Python."""
    if name is not None and not identifier(name):
        raise SettingError(f"teacher is {name!r}; it must be the name of a network, such as CrossNet.")


def _register_dataset_checks():
    from recbole.data import utils
    from recbole.data.dataset.dataset import Dataset
    from recbole.evaluator import Collector
    from recbole.trainer.trainer import Trainer

    from recbole_sam.config import mistakes
    from recbole_sam.data import check, columns

    load_data, init_alias = Dataset._load_data, Dataset._init_alias
    from_scratch, reset_index, build = Dataset._from_scratch, Dataset._reset_index, Dataset.build
    data_collect, batch_collect = Collector.data_collect, Collector.eval_batch_collect
    save_checkpoint = Trainer._save_checkpoint
    get_dataloader = utils.get_dataloader

    @functools.wraps(load_data)
    def load_checked_data(self, token, dataset_path):
        with check.loading(self.config):
            check.folder_of(self.config)
            check.announce(self.config)
            load_data(self, token, dataset_path)

    @functools.wraps(init_alias)
    def init_alias_of_columns(self):  # the first step after all files were read
        columns.check_loaded(self)
        init_alias(self)

    @functools.wraps(from_scratch)
    def prepared_from_scratch(self):
        with mistakes.preparing(self.config):
            from_scratch(self)

    @functools.wraps(reset_index)
    def reset_what_is_left(self):
        check.something_left(self)
        reset_index(self)

    @functools.wraps(build)
    def build_with_samples(self):
        with mistakes.preparing(self.config):
            splits = build(self)
        check.has_training_samples(splits, self.config)
        return splits

    @functools.wraps(data_collect)
    def collect_of_enough_items(self, train_data):  # before the first epoch
        mistakes.check_topk(self.config, train_data._dataset.item_num)
        self.config["trained_on"] = check.trained_on(train_data._dataset)  # a checkpoint keeps its settings
        data_collect(self, train_data)

    @functools.wraps(get_dataloader)
    def get_dataloader_of_some_users(config, phase):
        loader = get_dataloader(config, phase)
        if phase == "train" or config["eval_users"] is None:
            return loader
        return lambda config, dataset, *args, **kwargs: loader(
            config, of_some_users(dataset, config["eval_users"]), *args, **kwargs
        )

    @functools.wraps(batch_collect)
    def collect_numbers(self, scores_tensor, *args):
        mistakes.check_scores(scores_tensor, self.config)
        batch_collect(self, scores_tensor, *args)

    @functools.wraps(save_checkpoint)
    def save_whole_checkpoint(self, epoch, verbose=True, **kwargs):
        file = kwargs.pop("saved_model_file", self.saved_model_file)
        with mistakes.whole_file(file) as partial:
            save_checkpoint(self, epoch, verbose=False, saved_model_file=partial, **kwargs)
        _last["checkpoint"] = file
        if verbose and (self.config["single_spec"] or self.config["local_rank"] == 0):
            self.logger.info(f"Saving current: {file}")

    def check_nan(self, loss):
        if loss.isnan():
            raise mistakes.not_a_number(self.config)

    utils.get_dataloader = get_dataloader_of_some_users
    Dataset._load_data, Dataset._init_alias = load_checked_data, init_alias_of_columns
    Dataset._from_scratch, Dataset._reset_index = prepared_from_scratch, reset_what_is_left
    Dataset.build = build_with_samples
    Collector.data_collect, Collector.eval_batch_collect = collect_of_enough_items, collect_numbers
    Trainer._check_nan, Trainer._save_checkpoint = check_nan, save_whole_checkpoint


def of_some_users(part, count):
    """A part of a split (Dataset) with the samples of as many users only, as ``eval_users`` gives it."""
    from recbole_sam.data import samples

    users = part.inter_feat[part.uid_field].numpy()
    return part.copy(part.inter_feat[samples.of_some_users(users, count, part.user_num)])


_last = {}


def last_checkpoint():
    """The file (str) that RecBole saved last in this process, or None."""
    return _last.get("checkpoint")


def _register_workers():
    import recbole
    from recbole.quick_start import quick_start

    for function in (run_recboles, objective_function):
        _of_recbole[function.__name__] = getattr(quick_start, function.__name__)
    quick_start.run_recboles = run_recboles
    for module in (quick_start, recbole.quick_start):
        module.objective_function = objective_function


_of_recbole = {}


# A fresh process (torch spawn, Ray) unpickles these by name, and knows the plugin by that.
def run_recboles(rank, *args):
    """RecBole's entry of a distributed worker, in a process that knows the plugin."""
    register()
    return _of_recbole["run_recboles"](rank, *args)


def objective_function(config_dict=None, config_file_list=None, saved=True):
    """RecBole's objective of one tuning trial, in a process that knows the plugin."""
    register()
    return _of_recbole["objective_function"](config_dict, config_file_list, saved)
