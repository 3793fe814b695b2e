"""A line to a server that can be cut."""

import contextlib
import select
import socket
import threading


class Line:
    """Leads from a port of its own to another one, until it is cut."""

    def __init__(self, target):
        self.target = target
        self.sockets = []
        self.is_cut = False
        # Bytes, in both directions.
        self.carried = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, cut):
        self.is_cut = cut
        if cut:
            for end in self.sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self.sockets.clear()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self.sockets += [client, server]
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client, server):
        ways = {client: server, server: client}
        with contextlib.suppress(OSError), client, server:
            while True:
                for end in select.select(list(ways), [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    self.carried += len(data)
                    ways[end].sendall(data)
