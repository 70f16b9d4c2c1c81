"""The messages that pass between a run and the process that is connected to Ray."""

from __future__ import annotations

import msgspec

from workbench.inference.worker.frames import FrameCodec


class _BridgeFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything that is sent."""


class OpenCluster(_BridgeFrame, frozen=True, tag="open"):
    """The first command: connect. address: as `ray start` prints it; `auto`: the cluster of this machine. memory,
    computes: as in divide_node. part: the class of the run's part on a node, as `module:name`."""

    address: str
    memory: int
    computes: bool
    part: str


class CallNode(_BridgeFrame, frozen=True, tag="call"):
    """Call a method of a node's part of the run; answered by CallDone or CallFailed."""

    call: int
    node: int
    method: str
    arguments: tuple[bytes | int | float, ...]


class DropNode(_BridgeFrame, frozen=True, tag="drop"):
    """Let go of a node's part that is lost; another one may take its place."""

    node: int


BridgeCommand = OpenCluster | CallNode | DropNode


class ClusterOpened(_BridgeFrame, frozen=True, tag="opened"):
    """The cluster answers. width: parts of the run that there will be."""

    width: int


class ClusterFailed(_BridgeFrame, frozen=True, tag="failed"):
    """It does not."""

    message: str
    hint: str


class NodeJoined(_BridgeFrame, frozen=True, tag="joined"):
    """A part of the run is ready. node: its number, under which it is called."""

    node: int
    name: str


class CallDone(_BridgeFrame, frozen=True, tag="done"):
    """What a call came to."""

    call: int
    result: bytes


class CallFailed(_BridgeFrame, frozen=True, tag="lost"):
    """The node of a call is lost."""

    call: int
    reason: str


class ClusterLog(_BridgeFrame, frozen=True, tag="log"):
    """What a person is to know."""

    text: str


BridgeReply = ClusterOpened | ClusterFailed | NodeJoined | CallDone | CallFailed | ClusterLog

BRIDGE_REPLIES: FrameCodec[BridgeReply] = FrameCodec(BridgeReply)
"""The run's side: packs commands, reads replies."""

BRIDGE_COMMANDS: FrameCodec[BridgeCommand] = FrameCodec(BridgeCommand)
"""The other side."""
