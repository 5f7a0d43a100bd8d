"""Registration: join, register, other kinds of device, removal."""
import os

import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cases import Refused, want, world
from roadtx_cli import read, remove, short

DRS = "urn:ms-drs:enterpriseregistration.windows.net"


def certificate(name):
    return x509.load_pem_x509_certificate(read(name + ".pem").encode())


def device_id(name):
    subject = certificate(name).subject
    assert len(subject) == 1, f"the subject has {len(subject)} parts: {subject}"
    return next(iter(subject)).value


def register(t, action, name, *args):
    """Register a device, with its certificate in NAME.pem and its key in NAME.key."""
    remove(name + ".pem")
    out = t.must(r"Device ID: [0-9a-f-]{36}", None, "device", "-a", action, "-n", name, "-c", name + ".pem", "-k", name + ".key", *args)
    cert = certificate(name)
    key = serialization.load_pem_private_key(read(name + ".key").encode(), None)
    assert key.public_key() == cert.public_key(), "the certificate is over another key"
    assert "MS-Organization-Access" in cert.issuer.rfc4514_string(), cert.issuer.rfc4514_string()
    assert device_id(name) in out
    return f"device {device_id(name)}"


def join(t):
    """The devices that the other cases use; answers whether there is one."""
    if not t.check("drs.token", lambda: want(t.drs_token(), aud=DRS, tid=t.tenant)):
        return False
    joined = t.check("device.join", register, t, "join", "joined")
    t.check("device.register", register, t, "register", "registered")
    t.check("device.join.linux", register, t, "join", "linux", "--device-type", "Linux", "--os-version", "6.1")
    t.check("device.register.macos", register, t, "register", "macos", "--device-type", "MacOS")
    t.check("device.register.android", register, t, "register", "android", "--device-type", "Android")
    t.check("device.register.macos14", register, t, "register", "macos14", "--device-type", "macos14")
    t.check("device.hybrid", hybrid, t)

    def tampered():
        head, body, signature = t.drs_token().split(".")
        flipped = ("A" if signature[9] != "A" else "B").join((signature[:9], signature[10:]))
        return register(t, "join", "refused", "--access-token", f"{head}.{body}.{flipped}")
    t.refuse("device.join.tampered-token", "error_token", tampered)

    def may_not():
        t.drs_token(user=world("NOJOIN_USER"), password=world("NOJOIN_PASSWORD"))
        return register(t, "join", "refused")
    t.refuse("device.join.not-allowed", "AADSTS240001", may_not)
    return joined


def hybrid(t):
    """A device that the directory got from on-premises, with its certificate there."""
    pem = world("HYBRID_PEM")
    for name in ("hybrid.pem", "hybrid.key"):
        with open(name, "w", encoding="utf-8") as f:
            f.write(read(pem))
    t.must("AAD device ID: 5c1e7d1a-9a3b-4c55-8f0e-2b7f60c4d001", "hybrid_aad.pem", "hybriddevice", "-c", "hybrid.pem", "-k", "hybrid.key",
           "--sid", "S-1-5-21-1004336348-1177238915-682003330-1104", "-t", t.tenant)
    return "device " + device_id("hybrid_aad")


def delete(name, other=None):
    """The request of roadtx device -a delete, with another device in its address."""
    res = requests.delete(f"https://enterpriseregistration.windows.net/EnrollmentServer/device/{device_id(other or name)}", cert=(name + ".pem", name + ".key"), timeout=30)
    if res.status_code != 200:
        raise Refused(f"status {res.status_code}: {short(res.text)}")


def leave(t):
    if not os.path.exists("joined.pem") or not os.path.exists("registered.pem"):
        t.skip("device.delete", "no device was registered")
        return
    t.refuse("device.delete.other-device", "status 4", delete, "registered", "joined")

    def no_certificate():
        res = requests.delete(f"https://enterpriseregistration.windows.net/EnrollmentServer/device/{device_id('joined')}", timeout=30)
        raise Refused(f"status {res.status_code}") if res.status_code != 200 else AssertionError("deleted without a certificate")
    t.refuse("device.delete.no-certificate", "status 4", no_certificate)

    def gone(name):
        t.must("Device was deleted", None, "device", "-a", "delete", "-c", name + ".pem", "-k", name + ".key")
        return "deleted by its own certificate"
    t.check("device.delete.registered", gone, "registered")
    t.check("device.delete.joined", gone, "joined")
    t.refuse("device.delete.twice", "status 4", delete, "joined")
    t.refuse("device.prt-after-delete", "AADSTS", lambda: t.prt("gone.prt", "-u", t.user, "-p", t.password, "-c", "joined.pem", "-k", "joined.key"))
    if os.path.exists("password.prt"):
        t.refuse("device.token-after-delete", "AADSTS", lambda: t.tokens("gone.json", "prtauth", "-f", "password.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "gone.json"))
