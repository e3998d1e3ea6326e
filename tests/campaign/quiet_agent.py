"""A quiet agent, so that two stops of it can be compared: three processes, one connection, no SIGTERM.

usage: quiet_agent.py FOLDER. It writes FOLDER/up once everything stands, and changes nothing afterwards.
"""

import os
import signal
import socket
import sys
from pathlib import Path

PORT = 8099

signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", PORT))
ends = []
if os.fork() == 0:
    listener.close()
    ends.append(socket.create_connection(("127.0.0.1", PORT), source_address=("127.0.0.1", PORT + 1)))
    if os.fork() == 0:
        Path(sys.argv[1], "up").touch()
else:
    ends.append(listener.accept()[0])
while True:
    signal.pause()
