"""What every part of a run on a node has: its description, and its files.

Arguments and results are bytes, numbers and texts (messages.py). Methods may be called from several threads.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import get_args

from workbench import __version__, paths
from workbench.errors import WorkbenchError
from workbench.models.reference import Format
from workbench.runs.cluster.messages import FileReport, NodeReport, PackedFile, WantedFile, pack, unpack
from workbench.runs.cluster.node_files import NodeFiles
from workbench.runs.provenance import name_engine


class NodePart:
    """See the module."""

    def __init__(self, folder: str = "") -> None:
        """folder: for copies of files; a cluster folder of the node's cache unless given."""
        self._files = NodeFiles(Path(folder) if folder else paths.cache_folder() / "cluster")
        self._paths: dict[Path, Path] = {}

    def describe(self) -> bytes:
        """A NodeReport."""
        engines = {kind: name_engine(kind) for kind in get_args(Format)}
        return pack(NodeReport(__version__, engines, socket.gethostname()))

    def find(self, wanted: bytes) -> bytes:
        """A FileReport on a WantedFile."""
        asked = unpack(wanted, WantedFile)
        try:
            return self._remember(asked, self._files.find(asked))
        except WorkbenchError as error:  # its settings, say
            return pack(FileReport(problem=error.message))

    def save(self, wanted: bytes, content: bytes) -> bytes:
        """Keep a copy of a WantedFile, given as a list of PackedFile; a FileReport on it."""
        asked = unpack(wanted, WantedFile)
        return self._remember(asked, self._files.save(asked, unpack(content, list[PackedFile])))

    def close(self) -> None:
        """End what the part does."""
        self._files.close()

    def _remember(self, wanted: WantedFile, found: FileReport) -> bytes:
        if not found.problem:
            self._paths[wanted.path] = found.path
        return pack(found)
