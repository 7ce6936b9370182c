"""How weights begin, as in RecBole's Transformers."""

from torch import nn


def normal_weights(std):
    """What ``model.apply`` takes: weights from N(0, std^2), biases 0, LayerNorms the identity, padding 0.

    Args:
        std (float): ``initializer_range``.

    Returns:
        callable: initialises one module.
    """

    def initialise(module):
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=std)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.LayerNorm):
            module.bias.data.zero_()
            module.weight.data.fill_(1.0)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data.zero_()

    return initialise
