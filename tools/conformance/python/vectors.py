"""A second judge of the public protocol vectors: Python's cryptography, none of Lockstep's code.

Usage: vectors.py FOLDER. Each accepted vector is derived, verified, decrypted and compared
with its result; each vector of class "signature" must fail at its signature and nowhere else.
Prints one result a vector.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys
import uuid

import cases
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, padding as block_padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode


def b64u(s):
    return base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))


def private(v, name):
    return serialization.load_der_private_key(base64.b64decode(v["given"][name]), None)


def derive(key, context):
    return KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, 32, 4, 4, CounterLocation.BeforeFixed,
                     b"AzureAD-SecureConversation", context, None).derive(key)


def split(token):
    head, payload, signature = token.split(".")
    return json.loads(b64u(head)), b64u(payload), b64u(signature), (head + "." + payload).encode()


def same(result, **found):
    """Only what the vector tells is compared: it leaves empty members out."""
    for name, value in found.items():
        want = result.get(name, "")
        assert str(value) == want, f"{name} is {value!r}, the vector says {want!r}"


def text(value):
    return "" if value is None else str(value)


def session(v):
    head, payload, signature, signed = split(v["input"])
    context = base64.b64decode(head["ctx"])
    if head.get("kdf_ver") == 2:
        context = hashlib.sha256(context + payload).digest()
    key = derive(bytes.fromhex(v["given"]["session_key_hex"]), context)
    if not hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature):
        raise exceptions.InvalidSignature
    claims = json.loads(payload)
    same(v["result"], context_hex=context.hex(), derived_key_hex=key.hex(), payload=payload.decode(), kdf_ver=head.get("kdf_ver", 0),
         refresh_token=claims["refresh_token"], request_nonce=claims.get("request_nonce", ""))
    if v["kind"] == "prt_cookie":
        same(v["result"], is_primary="true" if claims.get("is_primary") == "true" else "false", iat=claims.get("iat", ""))
    else:
        same(v["result"], client_id=claims["client_id"], resource=text(claims.get("resource")),
             wants_prt=str("aza" in claims["scope"].split()).lower())


def issued(v, der):
    cert = x509.load_der_x509_certificate(der)
    ca = x509.load_der_x509_certificate(base64.b64decode(v["given"]["issuer_certificate_b64"]))
    cert.verify_directly_issued_by(ca)
    return cert


def extension(cert, n):
    oid = x509.ObjectIdentifier(f"1.2.840.113556.1.5.284.{n}")
    try:
        value = cert.extensions.get_extension_for_oid(oid).value.value
    except x509.ExtensionNotFound:
        return b""
    assert value[0] == 4 and value[1] == len(value) - 2, "extension is no octet string"
    return value[2:]


def guid(cert, n):
    return str(uuid.UUID(bytes_le=extension(cert, n)))


def device_signed(v):
    head, payload, signature, signed = split(v["input"])
    x5c = head["x5c"]
    cert = issued(v, base64.b64decode(x5c if isinstance(x5c, str) else x5c[0]))
    cert.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    made = private(v, "device_key_pkcs8_b64").sign(signed, padding.PKCS1v15(), hashes.SHA256())
    assert v["expect"] != "accept" or made == signature, "the device key makes another signature"
    claims = json.loads(payload)
    same(v["result"], device_id=guid(cert, 2), grant_type=claims["grant_type"], request_nonce=claims["request_nonce"])
    if v["kind"] == "prt_request":
        same(v["result"], kdf_ver=head.get("kdf_ver", 0), **{n: claims.get(n, "") for n in ("client_id", "username", "password", "assertion", "refresh_token")})


def session_key(v):
    parts = [b64u(p) for p in v["input"].split(".")]
    key = private(v, "transport_key_pkcs8_b64").decrypt(parts[1], padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    assert AESGCM(key).decrypt(parts[2], parts[3] + parts[4], None) == b"\x20", "the byte of content is another"
    try:
        AESGCM(key).decrypt(parts[2], parts[3] + parts[4], v["input"].split(".")[0].encode())
        raise AssertionError("the tag is over the header")
    except exceptions.InvalidTag:
        pass
    same(v["result"], session_key_hex=key.hex())


def answer(v):
    parts = v["input"].split(".")
    key = derive(bytes.fromhex(v["given"]["session_key_hex"]), base64.b64decode(json.loads(b64u(parts[0]))["ctx"]))
    decryptor = Cipher(algorithms.AES(key), modes.CBC(b64u(parts[2]))).decryptor()
    unpadder = block_padding.PKCS7(128).unpadder()
    plain = unpadder.update(decryptor.update(b64u(parts[3])) + decryptor.finalize()) + unpadder.finalize()
    same(v["result"], plaintext=plain.decode(), derived_key_hex=key.hex())


def rsa1(blob):
    magic, bits, exponent, modulus, p, q = struct.unpack("<4sIIIII", blob[:24])
    assert magic == b"RSA1" and (p, q) == (0, 0) and len(blob) == 24 + exponent + modulus, "not an RSA1 blob"
    e, n = int.from_bytes(blob[24:24 + exponent], "big"), int.from_bytes(blob[24 + exponent:], "big")
    assert n.bit_length() == bits, "the modulus has another length"
    return rsa.RSAPublicNumbers(e, n)


def hello(v):
    head, payload, signature, signed = split(v["input"])
    blob = base64.b64decode(v["given"]["hello_key_rsa1_b64"])
    rsa1(blob).public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    kid = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    assert head["kid"] == kid and head["use"] == "ngc", "the header names another key"
    claims = json.loads(payload)
    same(v["result"], key_id=kid, **{n: claims[n] for n in ("iss", "iat", "exp", "request_nonce")})


def certificate(v):
    cert = issued(v, base64.b64decode(v["input"]))
    assert cert.subject.rfc4514_string() == "CN=" + guid(cert, 2), "the subject is another"
    same(v["result"], device_id=guid(cert, 2), user_id=guid(cert, 3), tenant_id=guid(cert, 5),
         join_type=extension(cert, 7).decode(), region=extension(cert, 8).decode())


def transport_key(v):
    blob = base64.b64decode(v["input"])
    numbers = rsa1(blob)
    same(v["result"], modulus_hex=f"{numbers.n:x}", exponent=numbers.e, sha256_b64=base64.b64encode(hashlib.sha256(blob).digest()).decode())


JUDGES = {
    "prt_request": device_signed, "device_proof": device_signed, "renewal": session, "app_token_request": session, "prt_cookie": session,
    "session_key_jwe": session_key, "answer": answer, "hello_assertion": hello, "device_certificate": certificate, "transport_key": transport_key,
}


def judge(v):
    try:
        JUDGES[v["kind"]](v)
    except exceptions.InvalidSignature:
        assert v["expect"] == "signature", "the signature does not verify"
        return "the signature does not verify"
    assert v["expect"] == "accept", "the signature verifies"
    return "verified, derived and decrypted to the result that the file has"


def main(folder):
    c = cases.Cases("Python cryptography", "cryptography")
    for path in sorted(pathlib.Path(folder).glob("*/*.json")):
        v = json.loads(path.read_text())
        if v["expect"] not in ("accept", "signature"):
            continue  # forms and claims are rules, not arithmetic
        v.setdefault("result", {})
        c.check("vector." + v["name"], judge, v)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
