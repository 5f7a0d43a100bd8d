"""Conditional access as roadtx meets it, and attacks that need no password."""
import json

from cases import sign_ins, want, world
from roadtx_device import DRS, device_id, register

BROKER = "29d9ed98-a469-4536-ade2-f981bc1d605e"


def run(t):
    user, password = world("COMPLIANT_USER"), world("COMPLIANT_PASSWORD")

    def ropc(name):
        return lambda: t.ropc("no.json", "-c", "azcli", "-r", "msgraph", user=world(name + "_USER"), password=world(name + "_PASSWORD"))
    t.refuse("policy.block", "AADSTS53003", ropc("BLOCKED"))
    t.refuse("policy.compliant-device.no-device", "AADSTS50097", ropc("COMPLIANT"))

    def by_prt():
        t.prt("cleo.prt", "-u", user, "-p", password, "-c", "joined.pem", "-k", "joined.key")
        return t.tokens("no.json", "prtauth", "-f", "cleo.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "no.json")
    t.refuse("policy.compliant-device.prt", "AADSTS53000", by_prt)
    code = ("-c", "azcli", "-r", "msgraph")
    t.check("device-code.second-factor", lambda: want(t.device_code("d1.json", *code, user=world("CODE_USER"), mfa=True), upn=world("CODE_USER"), amr={"mfa"}))
    t.refuse("device-code.one-factor", "AADSTS50076", lambda: t.device_code("no.json", *code, user=world("CODE_USER")))
    phished(t)


def phished(t):
    """Device code phishing with the broker's client, and on to a Hello key (the chain of
    deviceCode2WinHello), by the same calls."""
    code = ("-c", "msbroker", "-r", "drs")
    t.refuse("A14.policy-on", "AADSTS53003", lambda: t.device_code("no.json", *code, user=world("NOCODE_USER")))
    victim = world("VICTIM_USER")

    def first():
        return want(t.device_code(".roadtools_auth", *code, "--force-ngcmfa", user=victim, mfa=True), aud=DRS, upn=victim, amr={"mfa"})
    if not t.check("A14.policy-off.token", first):
        return
    t.refuse("A16.token-without-device", "0x801c044d", lambda: t.must("'kid'", None, "winhello", "-k", "planted.key"))
    t.check("A14.policy-off.join", register, t, "join", "phished")
    device = ("-c", "phished.pem", "-k", "phished.key")

    def prt():
        t.prt("phished.prt", "-r", "file", *device)
        token = t.tokens(".roadtools_auth", "prtauth", "-f", "phished.prt", "-c", "msbroker", "-r", "drs", "--tokenfile", ".roadtools_auth")
        return want(token, aud=DRS, upn=victim, deviceid=device_id("phished"), amr={"ngcmfa"})
    if t.check("A15.prt-from-refresh-token", prt):
        t.check("A14.policy-off.hello-key", lambda: t.must("'kid'", "planted.key", "winhello", "-k", "planted.key") and "the key has a kid")

        def by_hello():
            t.prt("planted.prt", "-u", victim, "-hk", "planted.key", *device)
            return want(t.tokens("h9.json", "prtauth", "-f", "planted.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "h9.json"), upn=victim, amr={"mfa"})
        t.check("A14.policy-off.hello-prt", by_hello)
    t.check("A14.log", logged, victim)


def logged(victim):
    """The published hunting query: the broker's app id, and the protocol deviceCode."""
    rows = [json.loads(row["entra"]) for row in sign_ins(user_principal_name=victim) if row.get("entra")]
    found = [r for r in rows if r["appId"] == BROKER and r["authenticationProtocol"] == "deviceCode" and r["status"]["errorCode"] == 0]
    assert found, [(r.get("appId"), r.get("authenticationProtocol"), r.get("status")) for r in rows]
    return f"appId {BROKER}, authenticationProtocol deviceCode"

