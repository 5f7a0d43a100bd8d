"""The primary refresh token: getting it, renewing it, tokens by it."""
import os

from cases import claims, want, world
from roadtx_cli import load
from roadtx_device import device_id

DEVICE = ("-c", "joined.pem", "-k", "joined.key")


def run(t):
    user = ("-u", t.user, "-p", t.password)

    def password():
        prt = t.prt("password.prt", *user, *DEVICE)
        assert "." in prt["refresh_token"] and len(prt["session_key"]) == 64, "no PRT, or a session key that is not 32 bytes"
        life = prt["refresh_token_expires_in"]
        assert isinstance(life, int) and 1209000 <= life <= 1209600, f"the lifetime is {life!r}, not 14 days"
        return f"lifetime {life} s"
    if not t.check("prt.password", password):
        return
    refusals(t, user)
    t.check("prt.registered-device", lambda: t.prt("registered.prt", *user, "-c", "registered.pem", "-k", "registered.key") and "a PRT")
    t.check("prt.renew", renew, t, "renewed.prt")
    tokens(t)
    misuse(t)
    by_refresh_token(t)
    version3(t)
    version4(t)
    t.check("prt.device-token", lambda: want(t.tokens("device.json", "deviceauth", *DEVICE, "--client", "msbroker", "-r", "drs", "-t", t.tenant, "--tokenfile", "device.json"),
                                             aud=None, deviceid=device_id("joined")))


def refusals(t, user):
    t.refuse("prt.wrong-password", "AADSTS50126", lambda: t.prt("no.prt", "-u", t.user, "-p", "not " + t.password, *DEVICE))
    t.refuse("prt.unknown-user", "AADSTS50034", lambda: t.prt("no.prt", "-u", "nobody@contoso.test", "-p", t.password, *DEVICE))
    t.refuse("prt.other-key", "AADSTS", lambda: t.prt("no.prt", *user, "-c", "joined.pem", "-k", "registered.key"))
    pem = world("APP_PEM")
    t.refuse("prt.foreign-certificate", "AADSTS", lambda: t.prt("no.prt", *user, "-c", pem, "-k", pem))


def renew(t, file, *args):
    old = load("password.prt")
    with open(file, "w", encoding="utf-8") as f:
        f.write(open("password.prt", encoding="utf-8").read())
    t.must("Saved PRT to", None, "prt", "-a", "renew", "-f", file, *args)
    new = load(file)
    assert new["refresh_token"] != old["refresh_token"], "the PRT is the old one"
    assert new["session_key"] == old["session_key"], "the session key is another"
    return "another PRT, the same session key"


def prtauth(t, file, *args):
    return t.tokens(file, "prtauth", "--tokenfile", file, *args)


def tokens(t):
    prt = ("-f", "renewed.prt")
    t.check("prtauth", lambda: want(prtauth(t, "p1.json", *prt, "-c", "azcli", "-r", "msgraph"), aud=None, upn=t.user, deviceid=device_id("joined"), amr={"pwd"}))
    t.check("prtauth.other-app", lambda: want(prtauth(t, "p2.json", *prt, "-c", "azps", "-r", "azrm"), aud=None, appid="1950a258-227b-4e31-a9cf-717495945fc2"))
    t.check("prtauth.broker-for-drs", lambda: want(prtauth(t, "p3.json", *prt, "-c", "msbroker", "-r", "drs"), aud="urn:ms-drs:enterpriseregistration.windows.net", deviceid=device_id("joined")))
    t.check("prtauth.old-prt", lambda: want(prtauth(t, "p4.json", "-f", "password.prt", "-c", "azcli", "-r", "msgraph"), deviceid=device_id("joined")))
    t.check("prtauth.own-refresh-token", lambda: want(own_refresh(t), aud=None, tid=t.tenant))
    t.check("prtauth.describe", lambda: t.must('"deviceid"', None, "describe", "-f", "p1.json") and "deviceid is shown")
    t.refuse("prtauth.unknown-app", "AADSTS700016", lambda: prtauth(t, "no.json", *prt, "-c", "11111111-1111-4111-8111-111111111111", "-r", "msgraph", "-ru", "https://login.microsoftonline.com/common/oauth2/nativeclient"))
    t.refuse("prtauth.unknown-resource", "AADSTS500011", lambda: prtauth(t, "no.json", *prt, "-c", "azcli", "-r", "https://nobody.contoso.test"))


def own_refresh(t):
    """The application's refresh token that came with a token by PRT."""
    return t.tokens("p5.json", "gettokens", "--refresh-token", load("p1.json")["refreshToken"], "-c", "azcli", "-r", "msgraph", "-f", "p5.json")


def misuse(t):
    prt, other = load("renewed.prt"), load("registered.prt") if os.path.exists("registered.prt") else None
    t.refuse("prt.as-refresh-token", "AADSTS", lambda: t.tokens("no.json", "gettokens", "--refresh-token", prt["refresh_token"], "-c", "azcli", "-r", "msgraph", "-f", "no.json"))
    keyed = ("--prt", prt["refresh_token"], "--prt-sessionkey")
    t.refuse("prtauth.wrong-session-key", "AADSTS", lambda: prtauth(t, "no.json", *keyed, "00" * 32, "-c", "azcli", "-r", "msgraph"))
    if other:
        t.refuse("prtauth.key-of-other-prt", "AADSTS", lambda: prtauth(t, "no.json", *keyed, other["session_key"], "-c", "azcli", "-r", "msgraph"))
    t.check("prtauth.given-on-command-line", lambda: want(prtauth(t, "p6.json", *keyed, prt["session_key"], "-c", "azcli", "-r", "msgraph"), tid=t.tenant))
    garbled = prt["refresh_token"][:-8] + "AAAAAAAA"
    t.refuse("prtauth.tampered-prt", "AADSTS", lambda: prtauth(t, "no.json", "--prt", garbled, "--prt-sessionkey", prt["session_key"], "-c", "azcli", "-r", "msgraph"))


def by_refresh_token(t):
    def broker():
        t.drs_token()
        t.prt("broker.prt", "-r", "file", *DEVICE)
        return want(prtauth(t, "b1.json", "-f", "broker.prt", "-c", "azcli", "-r", "msgraph"), deviceid=device_id("joined"), amr={"pwd"})
    t.check("prt.broker-refresh-token", broker)

    def other_client():
        t.ropc("cli.json", "-c", "azcli", "-r", "msgraph")
        return t.prt("no.prt", "-r", load("cli.json")["refreshToken"], *DEVICE)
    t.refuse("prt.refresh-token-of-other-client", "AADSTS", other_client)


def version3(t):
    """PRT protocol 3.0, of Apple's and Android's brokers."""
    def request():
        t.drs_token()
        return t.prt("v3.prt", "-v3", "-r", "file", *DEVICE) and "a PRT"
    if not t.check("prt.v3", request):
        return
    t.check("prtauth.v3", lambda: want(prtauth(t, "v3.json", "-v3", "-f", "v3.prt", "-c", "azcli", "-r", "msgraph"), aud=None, tid=t.tenant))

    def again():
        t.must("Saved PRT to", None, "prt", "-a", "renew", "-v3", "-f", "v3.prt")
        return want(prtauth(t, "v3b.json", "-v3", "-f", "v3.prt", "-c", "azcli", "-r", "msgraph"), tid=t.tenant)
    t.check("prt.v3.renew", again)


def version4(t):
    """PRT protocol 4.0, where an EC device key takes the place of the session key."""
    import roadtools.roadlib.deviceauth as deviceauth
    if not hasattr(deviceauth.DeviceAuthentication, "calculate_derived_key_ecdh"):
        # roadtx's own command calls a method that its library does not have, so the
        # same steps are taken with the method that it means.
        t.check("prt.v4", v4_by_library, t)
        return
    t.check("prt.v4", lambda: t.prt("v4.prt", "-v4", "-r", "file", "-c", "macos14.pem", "-k", "macos14.key") and "a PRT")


def v4_by_library(t):
    import json

    from roadtools.roadlib.auth import Authentication
    from roadtools.roadlib.deviceauth import DeviceAuthentication
    t.drs_token()
    device = DeviceAuthentication(Authentication())
    assert device.loadcert("macos14.pem", "macos14.key"), "no EC device"
    payload = device.gen_prtv4_req_payload(load(".roadtools_auth")["refreshToken"])
    answer = device.request_token_with_devicekey_signed_payload_prtprotocolv4(payload, asjson=True)
    prt = json.loads(device.decrypt_auth_response_ecdh(answer, "HOI"))
    prt["session_key"] = ""
    device.saveprt(prt, "v4.prt")
    token = t.tokens("v4.json", "prtauth", "-v4", "-f", "v4.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "v4.json", "--cert-pem", "macos14.pem", "-k", "macos14.key")
    assert claims(token)["tid"] == t.tenant
    return "a PRT, and a token by it; roadtx's own command lacks a method"
