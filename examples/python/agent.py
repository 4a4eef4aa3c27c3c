"""An agent that signs its own MCP requests (docs/reference/wire.md): standard library and `cryptography`.

python3 agent.py http://127.0.0.1:8700/mcp/orders ./agent.jwk find_order '{"order": 7, "unbearer_intent": "read: …"}' [TASK]"""
import base64, hashlib, json, secrets, sys, time, urllib.error, urllib.parse, urllib.request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
unb64 = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
plain = lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
thumbprint = lambda jwk: b64(hashlib.sha256(plain({name: jwk[name] for name in ("crv", "kty", "x")})).digest())

def sign(jwk, method, target, headers, body, nonce, created):  # RFC 9421 and 9530; returns all the headers to send
    headers = headers | {"content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}
    names = [name for name in ("authorization", "content-type", "content-digest", "mcp-session-id") if name in headers]
    covered = {"@method": method, "@request-target": target} | {name: headers[name] for name in names}
    params = "(%s)" % " ".join(f'"{name}"' for name in covered) + f';created={created};expires={created + 60};nonce="{nonce}";keyid="{thumbprint(jwk)}";tag="unbearer"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
    signature = Ed25519PrivateKey.from_private_bytes(unb64(jwk["d"])).sign(base.encode())
    return headers | {"signature-input": f"sig={params}", "signature": f"sig=:{base64.b64encode(signature).decode()}:"}

def post(jwk, url, value, headers={}, nonce="first"):  # the answer: its headers, and the last JSON of it
    body, nonce = plain(value), f"{nonce}.{secrets.token_urlsafe(16)}"
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"} | headers
    request = urllib.request.Request(url, body, sign(jwk, "POST", urllib.parse.urlsplit(url).path, headers, body, nonce, int(time.time())))
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line.removeprefix(b"data:") for line in answer if line.startswith((b"{", b"data:")) and line.strip() != b"data:"]
        return answer.headers, json.loads(lines[-1]) if lines else None

def connect(url, jwk, txn=None):  # a function that calls a tool: a result, also for what is refused or held; throws where nobody is let in
    task, session = {"txn": txn} if txn else {}, urllib.parse.urljoin(url, "/session")
    try: _, opened = post(jwk, session, task)
    except urllib.error.HTTPError as asked: _, opened = post(jwk, session, task, nonce=asked.headers["unbearer-nonce"])  # none: the key is not enrolled
    own = {"authorization": "Unbearer " + opened["credential"], "mcp-protocol-version": "2025-11-25"}
    send = lambda method, params, **id: post(jwk, url, {"jsonrpc": "2.0", "method": method, "params": params} | id, own)
    own["mcp-session-id"] = send("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "python", "version": "1"}}, id=0)[0]["mcp-session-id"]
    send("notifications/initialized", {})
    return lambda name, arguments: send("tools/call", {"name": name, "arguments": arguments}, id=secrets.token_hex(8))[1]

if __name__ == "__main__": print(json.dumps(connect(sys.argv[1], json.load(open(sys.argv[2])), *sys.argv[5:])(sys.argv[3], json.loads(sys.argv[4]))))
