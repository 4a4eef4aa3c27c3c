"""A resource server that redeems at the issuer (docs/reference/wire.md): standard library and `cryptography`."""
import base64, hashlib, json, secrets, time, urllib.error, urllib.request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
unb64 = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
jcs = lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
sha = lambda data: hashlib.sha256(data).digest()
content_digest = lambda body: f"sha-256=:{base64.b64encode(sha(body)).decode()}:"
thumbprint = lambda jwk: b64(sha(jcs({name: jwk[name] for name in ("crv", "kty", "x")})))
action_digest = lambda action, salt: "sha-256:" + b64(sha(unb64(salt) + jcs(action)))

def sign(jwk, path, body, nonce, created):  # RFC 9421, the profile of wire.md
    covered = {"@method": "POST", "@request-target": path, "content-type": "application/json", "content-digest": content_digest(body)}
    params = "(%s)" % " ".join(f'"{name}"' for name in covered) + f';created={created};expires={created + 60};nonce="{nonce}";keyid="{thumbprint(jwk)}";tag="unbearer"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
    signature = Ed25519PrivateKey.from_private_bytes(unb64(jwk["d"])).sign(base.encode())
    return {"content-type": covered["content-type"], "content-digest": covered["content-digest"], "signature-input": f"sig={params}", "signature": f"sig=:{base64.b64encode(signature).decode()}:"}

def read_answer(answer, issuer, keys, expected):  # everything that wire.md says to verify; throws, or says whether to go on
    header, payload, signature = answer.split(".")
    head, said = json.loads(unb64(header)), json.loads(unb64(payload))
    Ed25519PublicKey.from_public_bytes(unb64(keys[head["kid"]])).verify(unb64(signature), f"{header}.{payload}".encode())
    return head["typ"] == "unbearer-redemption+jwt" and (expected | {"iss": issuer}).items() <= said.items() and said["active"] is True

def redeem(at, method, target, headers, body):  # the claims, once; throws for everything else
    [(scheme, credential)], [dpop] = [line.split(" ") for line in headers.get_all("authorization")], headers.get_all("dpop")
    claims = json.loads(unb64(credential.split(".")[1]))  # the issuer verifies them
    if claims["mode"] != "enforce": raise PermissionError  # what was only observed, nobody may have permitted
    action = {"method": method, "target": target} | ({"contentType": headers["content-type"], "contentDigest": content_digest(body)} if body else {})
    digest = action_digest(action, claims["authorization_details"][0]["salt"])
    question = jcs({"credential": credential, "digest": digest, "proof": action | {"dpop": dpop, "origin": at["origin"]}})
    for fresh in ("first", None):
        nonce = f"{fresh or at['nonce']}.{secrets.token_urlsafe(16)}"
        request = urllib.request.Request(at["server"] + "/redeem", question, sign(at["jwk"], "/redeem", question, nonce, int(time.time())))
        try: answer = urllib.request.urlopen(request, timeout=5).read().decode(); break
        except urllib.error.HTTPError as refused: at["nonce"] = refused.headers["unbearer-nonce"]
    keys = {key["kid"]: key["x"] for key in json.load(urllib.request.urlopen(at["server"] + "/jwks.json", timeout=5))["keys"]}
    if not read_answer(answer, at["issuer"], keys, {"aud": thumbprint(at["jwk"]), "nonce": nonce, "ath": b64(sha(credential.encode()))}): raise PermissionError
    return claims
