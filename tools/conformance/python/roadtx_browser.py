"""PRT cookies, and what a browser does with them."""
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from cases import Refused, browse, want, world
from roadtx_cli import load
from roadtx_device import device_id
from roadtx_tokens import AZCLI, GRAPH, NATIVE, authorize

BROKER = "29d9ed98-a469-4536-ade2-f981bc1d605e"
DRS_PAGE = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"


def cookie(t, file):
    """A PRT cookie by roadtx, with a fresh nonce in it."""
    return re.search(r"PRT cookie: (\S+)", t.must(r"PRT cookie: \S+", None, "prtcookie", "-f", file)).group(1)


def run(t):
    prt = load("password.prt")
    key = ("--prt", prt["refresh_token"], "--prt-sessionkey", prt["session_key"])

    def sso(file, *args):
        return t.tokens(file, "gettokens", "-f", file, *args)
    device = device_id("joined")
    t.check("cookie.kdf2", lambda: want(sso("k1.json", *key, "-c", "azcli", "-r", "msgraph"), upn=t.user, deviceid=device))
    t.check("cookie.kdf2.v2", lambda: want(sso("k2.json", *key, "-c", "azcli", "-s", GRAPH), tid=t.tenant))
    t.check("cookie.given", lambda: want(sso("k3.json", "--prt-cookie", cookie(t, "password.prt"), "-c", "azcli", "-r", "msgraph"), deviceid=device))
    t.check("cookie.other-app", lambda: want(sso("k4.json", *key, "-c", "azps", "-r", "azrm"), appid="1950a258-227b-4e31-a9cf-717495945fc2"))
    t.refuse("cookie.wrong-session-key", "No authentication code was returned", lambda: sso("no.json", "--prt", prt["refresh_token"], "--prt-sessionkey", "00" * 32, "-c", "azcli", "-r", "msgraph"))
    # The request for this PRT said kdf_ver 2, so the old derivation is a downgrade.
    t.refuse("cookie.kdf1-of-kdf2-prt", "No authentication code was returned", lambda: sso("no.json", "--kdf-v1", *key, "-c", "azcli", "-r", "msgraph"))
    t.check("cookie.kdf1", kdf1, t, sso)
    # Whoever took one derived key out of a device signs other cookies with it.
    context = bytes(range(24))
    derived = KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, 32, 4, 4, CounterLocation.BeforeFixed, b"AzureAD-SecureConversation", context, None)
    stolen = ("--prt", prt["refresh_token"], "--prt-context", context.hex(), "--derived-key", derived.derive(bytes.fromhex(prt["session_key"])).hex())
    t.refuse("cookie.stolen-derived-key", "No authentication code was returned", lambda: sso("no.json", *stolen, "-c", "azcli", "-r", "msgraph"))
    t.check("cookie.browser", in_browser, t)
    t.check("cookie.prompt-login", prompt_login, t)
    t.check("prt.enriched", enrich, t)
    t.check("prt.deviceless", deviceless, t)


def kdf1(t, sso):
    """A PRT whose request did not speak of kdf_ver: protocol 3.0 does not."""
    t.drs_token()
    prt = t.prt("old.prt", "-v3", "-r", "file", "-c", "joined.pem", "-k", "joined.key")
    return want(sso("k5.json", "--kdf-v1", "--prt", prt["refresh_token"], "--prt-sessionkey", prt["session_key"], "-c", "azcli", "-r", "msgraph"), tid=t.tenant)


def in_browser(t):
    """The header of a browser that has the cookie: no password is typed."""
    sent = browse(authorize(1, AZCLI, NATIVE, resource="https://graph.microsoft.com"), NATIVE, t.user, "nobody types this", cookie(t, "password.prt"))
    assert "/login" not in sent["trail"], sent["trail"]
    token = t.tokens("k6.json", "codeauth", "-c", "azcli", "-r", "msgraph", "-ru", NATIVE, "--tokenfile", "k6.json", sent["code"])
    return want(token, deviceid=device_id("joined"), upn=t.user)


def prompt_login(t):
    """prompt=login: the PRT does not sign the user in."""
    try:
        browse(authorize(1, AZCLI, NATIVE, resource="https://graph.microsoft.com", prompt="login"), NATIVE, t.user, "a wrong password", cookie(t, "password.prt"))
    except Refused as e:
        assert "50126" in str(e), e
        return "the password is asked for"
    raise AssertionError("signed in without a password")


def enrich(t):
    """roadtx prtenrich without its window: a second factor is added to the PRT."""
    from roadtools.roadlib.auth import Authentication
    user, password = world("ENRICH_USER"), world("FACTOR_PASSWORD")
    prt = t.prt("extra.prt", "-u", user, "-p", password, "-c", "joined.pem", "-k", "joined.key")
    url = authorize(1, BROKER, DRS_PAGE, resource="urn:aad:tb:update:prt", add_account="noheadsup", scope="openid", login_hint=user,
                    response_mode="form_post", windows_api_version="2.0", amr_values="ngcmfa")
    sent = browse(url, DRS_PAGE, user, password, cookie(t, "extra.prt"))
    auth = Authentication()
    auth.set_client_id(BROKER)
    answer = auth.authenticate_with_code_encrypted(sent["code"], bytes.fromhex(prt["session_key"]), DRS_PAGE)
    t.prt("enriched.prt", "-r", answer["refresh_token"], "-c", "joined.pem", "-k", "joined.key")
    return want(t.tokens("enriched.json", "prtauth", "-f", "enriched.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "enriched.json"),
                amr={"mfa"}, upn=user, deviceid=device_id("joined"))


def deviceless(t):
    """A PRT without a device, as the broker of macOS gets it."""
    page = "msauth://Microsoft.AAD.BrokerPlugin"
    sent = browse(authorize(2, BROKER, page, scope="aza profile offline_access openid"), page)
    t.must("Saved PRT to", "deviceless.prt", "devicelessprt", "-c", "msbroker", "-ru", page, "-f", "deviceless.prt", sent["code"])
    return want(t.tokens("deviceless.json", "prtauth", "-v3", "-f", "deviceless.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "deviceless.json"), tid=t.tenant)
