"""`python -m tests.peers build`: build llama-server, so that the tests that need it are run; 1 where it cannot be.

`python -m tests.peers build-rpc`: llama.cpp with its RPC backend, and ggml-rpc-server."""

from __future__ import annotations

import sys

from tests.peers import rpc_build
from tests.peers.llama_cpp_programs import Missing, build


def main(words: list[str]) -> int:
    builders = {"build": ("llama-server", build), "build-rpc": ("ggml-rpc-server", rpc_build.build)}
    if len(words) != 1 or words[0] not in builders:
        print("Usage: python -m tests.peers build|build-rpc", file=sys.stderr)
        return 2
    name, make = builders[words[0]]
    try:
        print(f"{name} is in {make()}")
    except Missing as reason:
        print(f"{name} is not there: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
