from collections.abc import Iterator

import pytest
import torch

from cpc_aux.fast import FastCPC


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Threads only get in each other's way on tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["compiled", "plain"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test once through the compiled loops, where they fit, and once without them."""
    if request.param == "plain":
        monkeypatch.setattr(FastCPC, "fits", lambda *_: False)
