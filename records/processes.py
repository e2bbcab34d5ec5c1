"""What the processes of a run need at their start, beside their work."""

import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from records.whole_files import is_alive

PREFIX = "cpc_a2c_sockets"


def name_socket_folder() -> None:
    """Let multiprocessing keep its sockets in a folder with this process's number in its name.

    Over them the processes of a run hand over tensors.

    Its own, /tmp/pymp-*, stays after a kill, and nobody can tell whether it is still in use. The
    folders of killed runs are removed here, this one at the process's end.
    """
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is not None:
        return
    with suppress(OSError):  # without it, multiprocessing makes its own
        for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
            match = re.fullmatch(rf"{PREFIX}-(\d+)-\w+", old.name)
            if match and not is_alive(int(match[1])) and old.stat().st_uid == os.getuid():
                shutil.rmtree(old, ignore_errors=True)
        config["tempdir"] = tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-")
        # After multiprocessing's own ends, which use it.
        Finalize(None, shutil.rmtree, args=(config["tempdir"], True), exitpriority=-100)


@contextmanager
def no_main_module() -> Iterator[None]:
    """Let processes that are started inside not import the main script again.

    They need nothing of it; and what calls `main` may come from standard input, which cannot be
    imported, or lack the `if __name__ == "__main__":` that an import needs.
    """
    main_module = vars(sys.modules["__main__"])
    before: dict[str, Any]
    before = {name: main_module[name] for name in ("__file__", "__spec__") if name in main_module}
    main_module.pop("__file__", None)
    main_module["__spec__"] = None
    try:
        yield
    finally:
        main_module.update(before)
