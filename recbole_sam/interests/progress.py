"""Stage 1's progress bars, one a stage."""

from tqdm import tqdm


class Progress:
    """Told ``(stage, done, total)``, shows a bar a stage on standard error; a context manager.

    Args:
        shown (bool): whether to show anything.
    """

    def __init__(self, shown=True):
        self._shown, self._stage, self._bar = shown, None, None

    def __call__(self, stage, done, total):
        if not self._shown:
            return
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=f"Stage 1 {stage:>8}", ncols=100)
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
