"""Stage 1's progress bars, one a stage."""

from tqdm import tqdm


class Progress:
    """Told ``(stage, done, total)``, shows a bar a stage on standard error; a context manager.

    Args:
        shown (bool): whether to show anything.
        cost (callable, optional): gives the cost so far, a str that is shown beside the users.
    """

    def __init__(self, shown=True, cost=None):
        self._shown, self._cost, self._stage, self._bar = shown, cost, None, None

    def __call__(self, stage, done, total):
        if not self._shown:
            return
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=f"Stage 1 {stage:>8}", ncols=100)
        if self._cost is not None and stage == "users":
            self._bar.set_postfix_str(self._cost(), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self):
        """Ends the current bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
