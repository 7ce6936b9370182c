"""Buffers that a model makes anew from its dataset."""


def unsaved_buffers(model):
    """The names (list of str) of buffers that no checkpoint holds, each the same in every process.

    For ``_ddp_params_and_buffers_to_ignore``: DistributedDataParallel would send them from rank 0 before
    every step.
    """
    saved = model.state_dict()
    return [name for name, _ in model.named_buffers() if name not in saved]
