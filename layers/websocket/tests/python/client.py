"""A client that is not the server's library: Python's `websockets` against the proxy example.

    pip install websockets
    cargo build -p tower-responses-websocket --example proxy
    python layers/websocket/tests/python/client.py target/debug/examples/proxy
"""
import asyncio, http.server, json, socket, subprocess, sys, threading, time

import websockets

SEEN = []


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        SEEN.append(body)
        n = len(SEEN)
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": f"answer {n} é"}]}
        events = [{"type": "response.created", "response": {"id": f"r{n}"}}, {"type": "response.output_item.done", "item": item},
                  {"type": "response.completed", "response": {"id": f"r{n}", "output": [item]}}]
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def answer(ws):
    events = []
    while True:
        events.append(json.loads(await asyncio.wait_for(ws.recv(), 10)))
        if events[-1]["type"] in ("response.completed", "response.failed", "error"):
            return events


def create(**more):
    return json.dumps({"type": "response.create", "model": "m", "store": False, **more}, ensure_ascii=False)


def said(text):
    return {"type": "message", "role": "user", "content": text}


async def checks(url):
    # The library offers permessage-deflate, and sends pings of its own.
    async with websockets.connect(url, ping_interval=0.05, max_size=None) as ws:
        await ws.send(create(generate=False, input=[said("a")]))
        prewarmed = (await answer(ws))[-1]["response"]["id"]
        assert not SEEN
        await ws.send(create(previous_response_id=prewarmed, input=[said("b")]))
        events = await answer(ws)
        assert [e["type"] for e in events] == ["response.created", "response.output_item.done", "response.completed"], events
        await ws.send(create(previous_response_id="r1", input=[said("c")]))
        await answer(ws)
        assert SEEN[1]["input"][:2] == [said("a"), said("b")] and SEEN[1]["input"][3] == said("c"), SEEN[1]
        assert SEEN[1]["input"][2]["content"][0]["text"] == "answer 1 é"
        for n in range(20):
            await ws.send(create(input=[said(str(n))]))
        for n in range(20):
            assert (await answer(ws))[-1]["response"]["id"] == f"r{n + 3}"
        await ws.send(b"binary")
        assert (await answer(ws))[-1]["status"] == 400
        # In fragments.
        text = create(input=[said("é" * 1000)])
        await ws.send(text[k:k + 7] for k in range(0, len(text), 7))
        await answer(ws)
        assert SEEN[-1]["input"] == [said("é" * 1000)]
        await ws.send(create(input=[said("x" * 20_000_000)]))
        await answer(ws)
        assert len(SEEN[-1]["input"][0]["content"]) == 20_000_000
        await asyncio.wait_for(await ws.ping(), 5)
    assert ws.close_code == 1000, ws.close_code

    async with websockets.connect(url) as ws:
        await ws.send(create(input=[said("x" * 70_000_000)]))
        assert (await answer(ws))[-1]["status"] == 413
        try:
            await asyncio.wait_for(ws.recv(), 10)
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1009, closed


def main():
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port = free_port()
    proxy = subprocess.Popen([sys.argv[1], f"http://127.0.0.1:{upstream.server_address[1]}", f"127.0.0.1:{port}"])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.025)
        asyncio.run(checks(f"ws://127.0.0.1:{port}/v1/responses"))
    finally:
        proxy.terminate()
        proxy.wait()
    print(f"websockets {websockets.__version__}: all is well")


if __name__ == "__main__":
    main()
