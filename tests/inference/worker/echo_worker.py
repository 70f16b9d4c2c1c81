"""A worker that does what it is asked, also what no worker should do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec


class EchoRequest(msgspec.Struct, frozen=True):
    what: str
    text: str = ""


class EchoReply(msgspec.Struct, frozen=True):
    text: str
    number: int = 0


ECHO_REPLIES: FrameCodec[EchoReply] = FrameCodec(EchoReply)


def main() -> None:
    channel: ParentChannel[EchoRequest] = ParentChannel(FrameCodec(EchoRequest))
    channel.listen()
    while (request := channel.receive()) is not None:
        match request.what:
            case "crash":
                print("last words", file=sys.stderr, flush=True)
                os.abort()
            case "exit":
                sys.exit(int(request.text))
            case "hang":
                threading.Event().wait()
            case "noise":
                print("noise on stdout", flush=True)
                os.write(1, b"more of it")
                channel.send(EchoReply("quiet"))
            case "garbage":
                channel._replies.write(b"\x03\0\0\0abc")
                channel._replies.flush()
            case "close":
                channel._replies.close()
                threading.Event().wait()
            case "grandchild":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                channel.send(EchoReply("", child.pid))
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "where":
                channel.send(EchoReply(f"{Path.cwd()}\n{os.environ.get('GIVEN', '')}\n{sys.argv[1:]}", os.getpid()))
            case _:
                channel.send(EchoReply(request.text, os.getpid()))
