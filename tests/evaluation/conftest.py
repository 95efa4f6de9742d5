import pytest
from evaluation_logs import build_split, random_log

from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog


@pytest.fixture(scope="session")
def autumn_log() -> EventLog:
    return random_log()


@pytest.fixture(scope="session")
def autumn_split(autumn_log: EventLog) -> Split:
    return build_split(autumn_log, "2017-11-06", "2017-11-20")
