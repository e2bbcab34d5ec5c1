"""Where processes of a run meet to hand over tensors: a folder that tells whose it is."""

import multiprocessing
import os
import re
import shutil
import tempfile
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from records.whole_files import is_alive

PREFIX = "cpc_a2c_sockets"


def name_socket_folder() -> None:
    """Let multiprocessing keep its sockets in a folder with this process's number in its name.

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
