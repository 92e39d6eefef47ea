"""One end of the demo's packets: `serve ADDRESS...` answers TCP and UDP, `probe` tries targets read as JSON."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

PORTS = (8080, 9090)
WAIT = 1.0
GREETING = b"here\n"


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram to its sender."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def serve(addresses: list[str]) -> None:
    """Listen on every address and port; prints `ready` when all listen, ends with its standard input."""

    async def greet(_reader, writer):
        writer.write(GREETING)
        await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    for address in addresses:
        for port in PORTS:
            await asyncio.start_server(greet, address, port)
            await loop.create_datagram_endpoint(Echo, local_addr=(address, port))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def probe(target: dict[str, object]) -> bool:
    """Whether an answer came back: TCP greeting, UDP echo, or ICMP echo reply."""
    address, port, what = str(target["address"]), int(target["port"]), target["what"]
    try:
        if what == "icmp":
            return await _ping(address)
        if what == "udp":
            return await asyncio.wait_for(_datagram(address, port), WAIT)
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), WAIT)
        answer = await asyncio.wait_for(reader.read(len(GREETING)), WAIT)
        writer.close()
    except ConnectionRefusedError:
        raise  # it passed, but nobody listens: the demo itself is broken
    except (TimeoutError, OSError):
        return False
    return answer == GREETING


async def _datagram(address: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        await loop.sock_connect(s, (address, port))
        await loop.sock_sendall(s, b"ping")
        return await loop.sock_recv(s, 16) == b"ping"


async def _ping(address: str) -> bool:
    run = await asyncio.create_subprocess_exec(
        "ping", "-n", "-q", "-c", "1", "-W", "1", address,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await run.wait() == 0


async def probe_all() -> None:
    targets = json.load(sys.stdin)
    limit = asyncio.Semaphore(16)

    async def one(target):
        async with limit:
            return await probe(target)

    print(json.dumps(await asyncio.gather(*(one(t) for t in targets))))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2:]) if sys.argv[1] == "serve" else probe_all())
