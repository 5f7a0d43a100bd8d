"""Windows Hello for Business, and the token for registering many devices."""
import json
import time

import jwt
from roadtools.roadlib.auth import Authentication
from roadtools.roadlib.deviceauth import DeviceAuthentication

from cases import browse, want, world
from roadtx_browser import cookie
from roadtx_cli import load
from roadtx_device import device_id, register
from roadtx_tokens import authorize

REGISTRATION = "dd762716-544d-4aeb-a526-687b73838a22"
PAGE = "ms-appx-web://Microsoft.AAD.BrokerPlugin/" + REGISTRATION
DEVICE = ("-c", "joined.pem", "-k", "joined.key")


def run(t):
    user, password = world("HELLO_USER"), world("FACTOR_PASSWORD")

    def without():
        t.drs_token(user=user, password=password)
        return t.must("'kid'", None, "winhello", "-k", "refused.key")
    t.refuse("hello.needs-mfa", "message", without)
    if t.check("hello.ngcmfa-token", fresh_token, t, user, password):
        if t.check("hello.register", lambda: t.must("'kid'", "hello.key", "winhello", "-k", "hello.key") and "the key has a kid"):
            sign_in(t, user)
    bulk(t)


def fresh_token(t, user, password):
    """roadtx prtenrich --ngcmfa-drs-auth without its window: the page that asks for
    the second factor, with the PRT of the device."""
    prt = t.prt("hello-base.prt", "-u", user, "-p", password, *DEVICE)
    url = authorize(1, REGISTRATION, PAGE, resource="urn:ms-drs:enterpriseregistration.windows.net", add_account="noheadsup", scope="openid", login_hint=user,
                    response_mode="form_post", windows_api_version="2.0", amr_values="ngcmfa")
    sent = browse(url, PAGE, user, password, cookie(t, "hello-base.prt"))
    auth = Authentication()
    auth.set_client_id(REGISTRATION)
    answer = auth.authenticate_with_code_encrypted(sent["code"], bytes.fromhex(prt["session_key"]), PAGE)
    with open(".roadtools_auth", "w", encoding="utf-8") as f:
        json.dump(auth.tokenreply_to_tokendata(answer), f)
    return want(answer["access_token"], aud="urn:ms-drs:enterpriseregistration.windows.net", amr={"ngcmfa"}, deviceid=device_id("joined"))


def sign_in(t, user):
    def prt():
        t.prt("hello.prt", "-u", user, "-hk", "hello.key", *DEVICE)
        return want(t.tokens("h1.json", "prtauth", "-f", "hello.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "h1.json"), upn=user, deviceid=device_id("joined"), amr={"mfa", "rsa"})
    t.check("hello.prt", prt)
    t.refuse("hello.other-user", "AADSTS", lambda: t.prt("no.prt", "-u", t.user, "-hk", "hello.key", *DEVICE))
    t.refuse("hello.unregistered-key", "AADSTS", lambda: t.prt("no.prt", "-u", user, "-hk", "joined.key", *DEVICE))
    assertions(t, user)


def assertions(t, user):
    """Assertions that are made elsewhere, which the command takes."""
    device = DeviceAuthentication(Authentication())
    assert device.loadhellokey("hello.key"), "no key"

    def given(**changes):
        text = device.create_hello_prt_assertion(user)
        payload = {**jwt.decode(text, options={"verify_signature": False}), **changes}
        head = {"kid": device.get_privkey_kid(), "use": "ngc"}
        return t.prt("given.prt", "-u", user, "-ha", jwt.encode(payload, algorithm="RS256", key=device.hellokeydata, headers=head), *DEVICE)
    t.check("hello.assertion.given", lambda: given() and "a PRT")
    now = int(time.time())
    t.refuse("hello.assertion.stale", "AADSTS", lambda: given(iat=now - 7200, exp=now - 3600))
    t.refuse("hello.assertion.for-ever", "AADSTS", lambda: given(exp=now + 30 * 86400))
    t.refuse("hello.assertion.wrong-nonce", "AADSTS", lambda: given(request_nonce="AwABAAEAAAACAOz_BAD0_none"))
    t.refuse("hello.assertion.other-user", "AADSTS", lambda: given(iss=world("USER")))

    def twice():
        text = device.create_hello_prt_assertion(user)
        t.prt("given.prt", "-u", user, "-ha", text, *DEVICE)
        t.prt("given.prt", "-u", user, "-ha", text, *DEVICE)
    t.refuse("hello.assertion.replayed", "AADSTS", twice)


def bulk(t):
    def request():
        t.drs_token(user="admin@contoso.test", password="administrators need long passwords")
        t.must("Tokens were written", ".bulktoken", "bulkenrollmenttoken", "-a", "request", "--tokenfile", ".roadtools_auth")
        return "a token for " + str(load(".bulktoken").get("_clientId"))
    if not t.check("bulk.request", request):
        return
    t.check("bulk.use", lambda: want(t.tokens("bulk.json", "bulkenrollmenttoken", "-a", "use", "--tokenfile", "bulk.json"), aud="urn:ms-drs:enterpriseregistration.windows.net"))
    t.check("bulk.join", lambda: register(t, "join", "bulk", "--access-token", load("bulk.json")["accessToken"]))
