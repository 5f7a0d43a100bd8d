"""Tokens without a device: password, refresh token, device code, code."""
import os
import uuid
from urllib.parse import quote

from cases import browse, want, world
from roadtx_cli import load

NATIVE = "https://login.microsoftonline.com/common/oauth2/nativeclient"
AZCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
GRAPH = "https://graph.microsoft.com/.default"


def run(t):
    t.check("nonce", lambda: t.must(r"Requested nonce from server.*: [A-Za-z0-9._-]{16,}", None, "gettokens", "--prt-init") and "a nonce")
    password(t)
    refusals(t)
    if os.path.exists("ropc1.json"):
        refresh(t)
    t.check("device-code.v1", lambda: want(t.device_code("device1.json", "-c", "azcli", "-r", "msgraph"), aud=None, upn=t.user, tid=t.tenant))
    t.check("device-code.v2", lambda: want(t.device_code("device2.json", "-c", "azcli", "-s", GRAPH), aud=None, tid=t.tenant))
    code(t)
    single_page(t)


def password(t):
    t.check("ropc.v1", lambda: want(t.ropc("ropc1.json", "-c", "azcli", "-r", "msgraph"), aud="https://graph.microsoft.com", tid=t.tenant,
                                    upn=t.user, appid=AZCLI, amr={"pwd"}, ver="1.0"))
    t.check("ropc.v2", lambda: want(t.ropc("ropc2.json", "-c", "azcli", "-s", GRAPH + " offline_access openid"), aud=None, tid=t.tenant, amr={"pwd"}))
    t.check("ropc.default-client", lambda: want(t.ropc("ropc3.json"), aud=None, appid=AZCLI))
    t.check("ropc.tenant-id", lambda: want(t.ropc("ropc4.json", "-t", t.tenant, "-c", "azcli", "-r", "msgraph"), tid=t.tenant))
    t.check("ropc.tenant-domain", lambda: want(t.ropc("ropc5.json", "-t", world("DOMAIN"), "-c", "azcli", "-r", "msgraph"), tid=t.tenant))
    t.check("ropc.cae", lambda: want(t.ropc("ropc6.json", "--cae", "-c", "azcli", "-s", GRAPH), aud=None))
    t.check("ropc.federated", lambda: want(t.ropc("ropc7.json", "-c", "azcli", "-r", "msgraph", user=world("FED_USER"), password=world("FED_PASSWORD")),
                                           upn=world("FED_USER"), tid=world("FED_TENANT")))
    t.check("describe", lambda: t.must(f'"upn": "{t.user}"', None, "describe", "-f", "ropc1.json") and "the claims are shown")
    t.check("graph.me", lambda: t.must(t.user, None, "graphrequest", "-f", "ropc1.json", "/v1.0/me") and "the user, by Graph")


def refusals(t):
    def ropc(*args, **who):
        return lambda: t.ropc("refused.json", *args, **who)
    t.refuse("ropc.wrong-password", "AADSTS50126", ropc("-c", "azcli", "-r", "msgraph", password="not " + t.password))
    t.refuse("ropc.wrong-password.v2", "AADSTS50126", ropc("-c", "azcli", "-s", GRAPH, password="not " + t.password))
    t.refuse("ropc.unknown-user", "AADSTS50034", ropc("-c", "azcli", "-r", "msgraph", user="nobody@contoso.test"))
    t.refuse("ropc.disabled-user", "AADSTS50057", ropc("-c", "azcli", "-r", "msgraph", user=world("DISABLED_USER"), password=world("DISABLED_PASSWORD")))
    t.refuse("ropc.needs-mfa", "AADSTS50076", ropc("-c", "azcli", "-r", "msgraph", user=world("MFA_USER"), password=world("FACTOR_PASSWORD")))
    t.refuse("ropc.federated.wrong-password", "FailedAuthentication", ropc("-c", "azcli", "-r", "msgraph", user=world("FED_USER"), password="not it"))
    t.refuse("ropc.unknown-client", "AADSTS700016", ropc("-c", str(uuid.uuid4()), "-r", "msgraph"))
    t.refuse("ropc.unknown-resource", "AADSTS500011", ropc("-c", "azcli", "-r", "https://nobody.contoso.test"))


def refresh(t):
    os.replace("ropc1.json", ".roadtools_auth")
    t.check("refresh.other-resource", lambda: want(t.tokens("r1.json", "refreshtokento", "-c", "azcli", "-r", "azrm", "--tokenfile", "r1.json"), aud=None, appid=AZCLI))
    t.check("refresh.v2", lambda: want(t.tokens("r2.json", "refreshtokento", "-c", "azcli", "-s", GRAPH, "--tokenfile", "r2.json"), aud=None))
    t.check("refresh.family", lambda: want(t.tokens("r3.json", "refreshtokento", "-c", "msteams", "-r", "msgraph", "--tokenfile", "r3.json"),
                                           appid="1fec8e78-bce4-4aaf-ab1b-5451cc387264"))
    t.check("refresh.gettokens", lambda: want(t.tokens("r4.json", "gettokens", "--refresh-token", load(".roadtools_auth")["refreshToken"],
                                                       "-c", "azcli", "-r", "msgraph", "-f", "r4.json"), tid=t.tenant))
    # a client outside of the family
    t.refuse("refresh.other-client", "AADSTS", lambda: t.tokens("r5.json", "refreshtokento", "-c", "aadps", "-r", "msgraph", "--tokenfile", "r5.json"))
    t.refuse("refresh.garbage", "AADSTS", lambda: t.tokens("r6.json", "refreshtokento", "--refresh-token", "0.AAAA.garbage", "-c", "azcli", "-r", "msgraph", "--tokenfile", "r6.json"))
    t.check("refresh.old-keeps", lambda: want(t.tokens("r7.json", "refreshtokento", "-c", "azcli", "-r", "msgraph", "--tokenfile", "r7.json"), tid=t.tenant))


# RFC 7636, appendix B
CHALLENGE = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
VERIFIER = ("--pkce-secret", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")


def authorize(version, client, redirect, tenant="common", **query):
    query = {"client_id": client, "response_type": "code", "redirect_uri": redirect, **query}
    path = "oauth2/authorize" if version == 1 else "oauth2/v2.0/authorize"
    return f"https://{world('LOGIN')}/{tenant}/{path}?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())


def code(t):
    def fetch(version, **query):
        return browse(authorize(version, AZCLI, NATIVE, **query), NATIVE)["code"]

    def redeem(file, value, *args):
        return t.tokens(file, "codeauth", "-c", "azcli", "-ru", NATIVE, "--tokenfile", file, *args, value)
    t.check("code.v1", lambda: want(redeem("c1.json", fetch(1, resource="https://graph.microsoft.com"), "-r", "msgraph"), upn=t.user))
    t.check("code.v2", lambda: want(redeem("c2.json", fetch(2, scope=GRAPH + " offline_access openid"), "-s", GRAPH), tid=t.tenant))
    t.check("code.pkce", lambda: want(redeem("c3.json", fetch(2, scope=GRAPH, **CHALLENGE), "-s", GRAPH, *VERIFIER), tid=t.tenant))
    t.refuse("code.pkce.missing", "AADSTS", lambda: redeem("c4.json", fetch(2, scope=GRAPH, **CHALLENGE), "-s", GRAPH))

    def twice():
        value = fetch(1, resource="https://graph.microsoft.com")
        redeem("c5.json", value, "-r", "msgraph")
        return redeem("c6.json", value, "-r", "msgraph")
    t.refuse("code.replay", "AADSTS54005", twice)

    def second_factor():
        sent = browse(authorize(1, AZCLI, NATIVE, resource="https://graph.microsoft.com"), NATIVE, world("MFA_USER"), world("FACTOR_PASSWORD"))
        return want(redeem("c7.json", sent["code"], "-r", "msgraph"), upn=world("MFA_USER"), amr={"pwd", "mfa"})
    t.check("code.second-factor", second_factor)

    def federated():
        sent = browse(authorize(1, AZCLI, NATIVE, resource="https://graph.microsoft.com", login_hint=world("FED_USER")), NATIVE, world("FED_USER"), world("FED_PASSWORD"))
        return want(redeem("c8.json", sent["code"], "-r", "msgraph"), upn=world("FED_USER"), tid=world("FED_TENANT"))
    t.check("code.federated", federated)




def single_page(t):
    """Code in a browser: no secret, PKCE, and the Origin header on every call."""
    app, page = world("SPA"), world("SPA_REDIRECT")
    origin = ("--origin", page.rstrip("/"))

    def redeem(file, *args):
        sent = browse(authorize(2, app, page, t.tenant, scope=GRAPH + " offline_access openid", **CHALLENGE), page)
        return t.tokens(file, "codeauth", "-c", app, "-t", t.tenant, "-ru", page, *VERIFIER, "-s", GRAPH + " offline_access", "--tokenfile", file, *args, sent["code"])

    def refresh(file, *args):
        return t.tokens(file, "refreshtokento", "--refresh-token", load("spa.json")["refreshToken"], "-c", app, "-t", t.tenant, "-s", GRAPH, "--tokenfile", file, *args)
    t.refuse("single-page.code.no-origin", "AADSTS9002327", lambda: redeem("s1.json"))
    if t.check("single-page.code", lambda: want(redeem("spa.json", *origin), tid=t.tenant)):
        t.check("single-page.refresh", lambda: want(refresh("s2.json", *origin), tid=t.tenant))
        t.refuse("single-page.refresh.no-origin", "AADSTS9002327", lambda: refresh("s3.json"))
