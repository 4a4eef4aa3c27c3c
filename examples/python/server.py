"""An API behind `redeem`: python3 server.py '{"issuer":…,"server":…,"origin":…,"key":PATH,"port":N}'. Prints a line once it listens."""
import http.server, json, sys
from redeem import redeem

at = json.loads(sys.argv[1])
at["jwk"] = json.load(open(at["key"]))

class Api(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(min(int(self.headers["content-length"] or 0), 1_048_576))
        try:
            claims = redeem(at, self.command, self.path, self.headers, body)
            status, said = 200, {"for": claims["sub"], "body": body.decode()}
        except Exception:  # whatever it is, nothing is done
            status, said = 401, {"error": "invalid_token"}
        self.send_response(status)
        if status == 401: self.send_header("www-authenticate", 'DPoP algs="Ed25519 ES256"')
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer
    log_message = lambda *_: None

api = http.server.ThreadingHTTPServer(("127.0.0.1", at["port"]), Api)
print(json.dumps({"port": api.server_port}), flush=True)
api.serve_forever()
