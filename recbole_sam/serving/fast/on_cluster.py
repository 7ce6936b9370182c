"""Blocks of users answered by the processes of a Ray cluster, each of which loads the bundle once.

A process that dies is restarted and given its block again. The output is that of one process: a block's bytes
depend on the bundle and the question alone, and the processes compute with as many threads as this one.
"""

import collections

import torch

from recbole_sam.errors import RecBoleSAMError, SettingError
from recbole_sam.generators.on_ray import BLOCKS_A_WORKER, RESTARTS, named_error, ray_library

WHAT = "--engine=ray"


class BlockWorker:
    """A process of the cluster.

    Args:
        make (callable): opens the bundle and gives the function from a block's number to its bytes.
        threads (int): that it computes with.
    """

    def __init__(self, make, threads):
        self._make, self._threads, self._answer = make, threads, None

    def answer(self, index):
        """One block.

        Returns:
            tuple: bytes and None, or None and the class name and sentence of what is wrong.
        """
        try:
            if self._answer is None:
                torch.set_num_threads(self._threads)
                self._answer = self._make()
            return self._answer(index), None
        except RecBoleSAMError as error:
            return None, (type(error).__name__, str(error))

    def process(self):
        """The process id, to tell the workers apart."""
        import os

        return os.getpid()


def answered(make, missing, workers):
    """The bytes of blocks, as they are done.

    Args:
        make (callable): as for :class:`BlockWorker`; is sent to the workers.
        missing (list of int): numbers of the blocks.
        workers (int): processes.

    Yields:
        tuple: a block's number and its bytes.

    Raises:
        SettingError: Ray is missing, or the cluster is too small.
        RecBoleSAMError: a block was lost for good, or what is wrong with the bundle there.
    """
    ray = ray_library(WHAT)
    if not ray.is_initialized():
        ray.init(logging_level="ERROR", log_to_driver=False)
    there = int(ray.cluster_resources().get("CPU", 0))
    if workers > there:
        raise SettingError(f"The Ray cluster has {there} CPUs, too few for --workers={workers}.")
    crew = start_workers(ray, make, min(workers, len(missing)))
    waiting, work = collections.deque(missing), {}  # reference -> worker, block
    try:
        while waiting or work:
            while waiting and len(work) < BLOCKS_A_WORKER * len(crew):
                busy = [worker for worker, _ in work.values()]
                worker, index = min(crew, key=busy.count), waiting.popleft()
                work[worker.answer.remote(index)] = worker, index
            (reference,), _ = ray.wait(list(work), num_returns=1)
            _, index = work.pop(reference)
            yield index, _received(ray, reference, index)
    finally:
        for worker in crew:
            ray.kill(worker)


def start_workers(ray, make, count):
    """The remote workers, a list of actor handles."""
    options = {"max_restarts": RESTARTS, "max_task_retries": RESTARTS, "num_cpus": 1}
    remote = ray.remote(**options)(BlockWorker)
    return [remote.remote(make, torch.get_num_threads()) for _ in range(count)]


def _received(ray, reference, index):
    try:
        content, error = ray.get(reference)
    except ray.exceptions.RayError as lost:
        raise RecBoleSAMError(
            f"Block {index} was lost on the Ray cluster ({type(lost).__name__}). Look at the cluster, then "
            "run the same command again."
        ) from lost
    if error is not None:
        raise named_error(*error)
    return content
