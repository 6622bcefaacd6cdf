"""Run esctl from a shell in a process that is forked: `python -IS warm_client.py SOCKET ARGUMENT...`.

It passes on its folder, environment and standard files, and ends with the exit code. It imports next to nothing: less
than esctl does.
"""

import json
import os
import socket
import struct
import sys

with socket.socket(socket.AF_UNIX) as asking:
    asking.connect(sys.argv[1])
    asked = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asking, [struct.pack("!I", len(asked))], [0, 1, 2])  # files travel with the first bytes
    asking.sendall(asked)
    (code,) = struct.unpack("!i", asking.recv(4, socket.MSG_WAITALL))
    sys.exit(code if code >= 0 else 128 - code)
