"""MSAL Python: a public client and a confidential one."""
import json

import msal

from cases import Cases, Refused, approve, browse, demand_mfa, want, world

COMMAND_LINE = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
SCOPES = ["https://graph.microsoft.com/User.Read"]
MANAGEMENT = ["https://management.azure.com/.default"]
GRAPH = ["https://graph.microsoft.com/.default"]


class Library(Cases):
    def __init__(self):
        super().__init__("MSAL Python", "msal")
        self.user, self.password, self.tenant = world("USER"), world("PASSWORD"), world("TENANT")
        self.authority = "https://login.microsoftonline.com/" + self.tenant

    def public(self, authority=None, **kwargs):
        return msal.PublicClientApplication(COMMAND_LINE, authority=authority or self.authority, **kwargs)

    def confidential(self, credential):
        return msal.ConfidentialClientApplication(world("APP"), client_credential=credential, authority=self.authority)

    def user_token(self, answer, **expected):
        """What MSAL answers for a user."""
        token = granted(answer)
        claims = answer["id_token_claims"]
        assert claims["preferred_username"].lower() == self.user and claims["oid"] == world("USER_OID"), claims
        return want(token, aud=None, tid=self.tenant, oid=world("USER_OID"), **expected)


def challenged(c):
    """A policy comes over somebody who is signed in: the refresh token is refused with
    a claims challenge, which the client answers in the browser."""
    user, password = world("CLAIMS_PYTHON_USER"), world("FACTOR_PASSWORD")
    app, page = c.public(), "http://localhost:4715/"
    granted(app.acquire_token_by_username_password(user, password, SCOPES))
    account = app.get_accounts(user)[0]
    demand_mfa(user)
    refused = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    assert 50076 in refused.get("error_codes", []) and "AADSTS50076" in refused["error_description"], refused
    claims = refused["claims"]
    assert "access_token" in json.loads(claims), claims
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=page, login_hint=user, claims_challenge=claims)
    sent = browse(flow["auth_uri"], page, user, password)
    sent.pop("trail")
    token = granted(app.acquire_token_by_auth_code_flow(flow, sent))
    granted(app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True))
    return want(token, upn=user, amr={"pwd", "mfa"})


def policies(c):
    c.check("claims-challenge", challenged, c)

    def ropc(user):
        return granted(c.public().acquire_token_by_username_password(world(user + "_USER"), world(user + "_PASSWORD"), SCOPES))
    c.refuse("policy.block", "AADSTS53003", lambda: ropc("BLOCKED"))
    c.refuse("policy.compliant-device.no-device", "AADSTS50097", lambda: ropc("COMPLIANT"))

    def interactive():
        app, page = c.public(), "http://localhost:4716/"
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=page)
        browse(flow["auth_uri"], page, world("BLOCKED_USER"), world("BLOCKED_PASSWORD"))
    c.refuse("policy.block.page", "53003", interactive)

    def device(user, **how):
        app = c.public()
        flow = app.initiate_device_flow(SCOPES)
        approve(flow["user_code"], user, **how)
        return want(granted(app.acquire_token_by_device_flow(flow)), upn=user, amr={"mfa"})
    c.check("device-code.second-factor", lambda: device(world("CODE_USER"), mfa=True))
    c.refuse("device-code.one-factor", "AADSTS50076", lambda: device(world("CODE_USER")))


def granted(answer):
    assert answer is not None, "no answer: nothing fits in the cache, and nothing was asked"
    if "access_token" not in answer:
        raise Refused(json.dumps({k: answer.get(k) for k in ("error", "error_description", "suberror", "error_codes")}))
    return answer["access_token"]


def public(c):
    app = c.public()

    def ropc():
        return c.user_token(app.acquire_token_by_username_password(c.user, c.password, SCOPES))
    if c.check("ropc", ropc):
        silent(c, app, app.get_accounts(c.user)[0])
    c.refuse("ropc.wrong-password", "AADSTS50126", lambda: granted(c.public().acquire_token_by_username_password(c.user, "not " + c.password, SCOPES)))
    c.refuse("ropc.unknown-user", "AADSTS50034", lambda: granted(c.public().acquire_token_by_username_password("nobody@contoso.test", c.password, SCOPES)))
    c.refuse("ropc.needs-mfa", "AADSTS50076", lambda: granted(c.public().acquire_token_by_username_password(world("MFA_USER"), world("FACTOR_PASSWORD"), SCOPES)))
    c.check("ropc.organizations", lambda: c.user_token(c.public("https://login.microsoftonline.com/organizations").acquire_token_by_username_password(c.user, c.password, SCOPES)))

    def federated(password):
        anybody = c.public("https://login.microsoftonline.com/organizations")
        try:
            return granted(anybody.acquire_token_by_username_password(world("FED_USER"), password, SCOPES))
        except RuntimeError as e:  # so MSAL Python hands on a SOAP fault
            raise Refused(str(e)) from e
    c.check("ropc.federated", lambda: want(federated(world("FED_PASSWORD")), aud=None, upn=world("FED_USER"), tid=world("FED_TENANT")))
    c.refuse("ropc.federated.wrong-password", "FailedAuthentication", lambda: federated("not it"))

    def local():
        # Not by password: for the user's realm MSAL Python asks the host without its port.
        app = c.public(f"https://{world('HTTPS')}/{c.tenant}", instance_discovery=False)
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:4714/")
        sent = browse(flow["auth_uri"], "http://localhost:4714/")
        sent.pop("trail")
        return c.user_token(app.acquire_token_by_auth_code_flow(flow, sent))
    c.check("authority.local-address", local)

    def device():
        flow = app.initiate_device_flow(SCOPES)
        assert "user_code" in flow and "message" in flow, flow
        approve(flow["user_code"])
        return c.user_token(app.acquire_token_by_device_flow(flow))
    c.check("device-code", device)
    # MSAL opens what the variable BROWSER names, and listens for the code itself.
    c.check("interactive", lambda: c.user_token(c.public().acquire_token_interactive(SCOPES, login_hint=c.user, timeout=60)))
    code(c)


def silent(c, app, account):
    def cached():
        answer = app.acquire_token_silent_with_error(SCOPES, account)
        granted(answer)
        assert answer.get("token_source") == "cache", answer.get("token_source")
        return "from the cache"
    c.check("silent.cache", cached)
    c.check("silent.other-resource", lambda: want(granted(app.acquire_token_silent_with_error(MANAGEMENT, account)), aud=None, tid=c.tenant))

    def forced(**kwargs):
        answer = app.acquire_token_silent_with_error(SCOPES, account, **kwargs)
        granted(answer)
        assert answer.get("token_source") == "identity_provider", answer.get("token_source")
        return "from the server"
    c.check("silent.forced", lambda: forced(force_refresh=True))
    c.check("silent.claims", lambda: forced(claims_challenge='{"access_token":{"nbf":{"essential":true,"value":"1"}}}'))


def code(c):
    page = "http://localhost:4713/"

    def fetch(app, **kwargs):
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=page, **kwargs)
        sent = browse(flow["auth_uri"], page)
        sent.pop("trail")
        return flow, sent
    c.check("code.pkce.nonce", lambda: c.user_token((lambda app: app.acquire_token_by_auth_code_flow(*fetch(app)))(c.public())))
    c.check("code.form-post", lambda: c.user_token((lambda app: app.acquire_token_by_auth_code_flow(*fetch(app, response_mode="form_post")))(c.public())))

    def federated(password):
        app = c.public("https://login.microsoftonline.com/organizations")
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=page, login_hint=world("FED_USER"))
        sent = browse(flow["auth_uri"], page, world("FED_USER"), password)
        assert "POST login.microsoftonline.com/login.srf" in sent.pop("trail"), "the browser was not at the federation provider"
        return want(granted(app.acquire_token_by_auth_code_flow(flow, sent)), aud=None, upn=world("FED_USER"), tid=world("FED_TENANT"))
    c.check("code.federated", lambda: federated(world("FED_PASSWORD")))
    c.refuse("code.federated.wrong-password", "the federation provider asks again", lambda: federated("not it"))

    def twice():
        app = c.public()
        flow, sent = fetch(app)
        granted(app.acquire_token_by_auth_code_flow(flow, sent))
        granted(app.acquire_token_by_auth_code_flow(flow, sent))
    c.refuse("code.replay", "AADSTS54005", twice)

    def other_verifier():
        app = c.public()
        flow, sent = fetch(app)
        granted(app.acquire_token_by_auth_code_flow({**flow, "code_verifier": "x" * 43}, sent))
    c.refuse("code.pkce.wrong-verifier", "AADSTS501481", other_verifier)


def confidential(c):
    secret = world("APP_SECRET")
    with open(world("APP_PEM"), encoding="utf-8") as f:
        pem = f.read()
    start = pem.index("-----BEGIN PRIVATE KEY-----")
    certificate = {"private_key": pem[start:], "public_certificate": pem[:start]}
    # public_certificate makes MSAL send x5c; with the thumbprint alone it does not
    bare = {"private_key": pem[start:], "thumbprint": thumbprint(pem[:start])}

    def credential(how):
        return granted(c.confidential(how).acquire_token_for_client(GRAPH))
    c.check("credentials.secret", lambda: want(credential(secret), aud=None, tid=c.tenant))
    c.refuse("credentials.wrong-secret", "AADSTS7000215", lambda: credential("not " + secret))
    c.check("credentials.certificate-chain", lambda: want(credential(certificate), aud=None, tid=c.tenant))
    c.check("credentials.certificate", lambda: want(credential(bare), aud=None, tid=c.tenant))

    def obo():
        token = granted(c.public().acquire_token_by_username_password(c.user, c.password, [f"api://{world('APP')}/.default"]))
        return want(granted(c.confidential(secret).acquire_token_on_behalf_of(token, SCOPES)), aud=None, oid=world("USER_OID"))
    c.check("on-behalf-of", obo)

    def web():
        app = c.confidential(secret)
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=world("APP_REDIRECT"))
        sent = browse(flow["auth_uri"], world("APP_REDIRECT"))
        sent.pop("trail")
        c.user_token(app.acquire_token_by_auth_code_flow(flow, sent))
        return want(granted(app.acquire_token_silent_with_error(MANAGEMENT, app.get_accounts()[0])), aud=None)
    c.check("web.code-and-silent", web)


def thumbprint(pem):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA1()).hex()


if __name__ == "__main__":
    library = Library()
    public(library)
    policies(library)
    confidential(library)
