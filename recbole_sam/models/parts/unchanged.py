"""A value that is computed once for as long as the parameters it depends on stay as they are."""


class WhileUnchanged:
    """Remembers the last value; for serving, where nothing is differentiated.

    torch counts the changes of a parameter in place (an optimizer's step, ``load_state_dict``), and a
    parameter that is moved is another tensor; either way the value is computed again. Writing to
    ``parameter.data`` is not counted: nothing in RecBole does it after the initialisation.
    """

    def __init__(self):
        self._key = self._value = None

    def get(self, compute, parameters):
        """``compute()``, or what it gave before.

        Args:
            compute (callable): without arguments.
            parameters (iterable of torch.Tensor): all that its value depends on and that may change.
        """
        key = [(parameter.data_ptr(), parameter._version) for parameter in parameters]
        if key != self._key:
            self._value, self._key = compute(), key
        return self._value

    def __reduce__(self):
        return WhileUnchanged, ()  # a copy of a model computes its own
