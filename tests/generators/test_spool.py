"""Users on disk, and the disk that fills up."""

import resource

import pytest
from llm_helpers import make_requests

from recbole_sam.generators.spool import Spool
from recbole_sam.llm.failures import CacheError


def test_users_come_back_as_they_were_as_often_as_needed():
    requests = list(make_requests(50, k=4))
    with Spool(iter(requests)) as spool:
        assert next(iter(spool)) == requests[0]
        assert list(spool) == requests == list(spool)


def test_a_full_disk_is_one_sentence():
    """A limit on the size of files stands for the disk that fills up."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for count in (1, 5000):  # refused when what is buffered is written, and earlier
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(CacheError, match="temporary file.*TMPDIR"):
                Spool(make_requests(count))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_groups_that_are_apart_stay_so():
    request = next(make_requests(1, k=2))._replace(rankings=((0, 2), (1,)), apart=True)
    with Spool(iter([request])) as spool:
        [back] = spool
    assert back == request and back.groups() == request.groups()
