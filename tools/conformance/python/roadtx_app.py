"""Applications that prove themselves, and what they do on behalf of a user."""
from cases import world, want

GRAPH = "https://graph.microsoft.com/.default"


def run(t):
    app, secret, pem = world("APP"), world("APP_SECRET"), world("APP_PEM")

    def auth(file, *args):
        return t.tokens(file, "appauth", "-c", app, "-t", t.tenant, "--tokenfile", file, *args)
    cert = ("--cert-pem", pem, "--key-pem", pem)
    t.check("app.secret.v1", lambda: want(auth("a1.json", "-p", secret, "-r", "msgraph"), aud=None, tid=t.tenant, appid=app))
    t.check("app.secret.v2", lambda: want(auth("a2.json", "-p", secret, "-s", GRAPH), aud=None, tid=t.tenant))
    t.refuse("app.wrong-secret", "AADSTS7000215", lambda: auth("a3.json", "-p", "not " + secret, "-r", "msgraph"))
    t.refuse("app.wrong-secret.v2", "AADSTS7000215", lambda: auth("a3.json", "-p", "not " + secret, "-s", GRAPH))
    t.check("app.certificate.v1", lambda: want(auth("a4.json", *cert, "-r", "msgraph"), aud=None, tid=t.tenant))
    t.check("app.certificate.v2", lambda: want(auth("a5.json", *cert, "-s", GRAPH), aud=None, tid=t.tenant))
    other = world("HYBRID_PEM")
    t.refuse("app.other-certificate", "AADSTS700027", lambda: auth("a6.json", "--cert-pem", other, "--key-pem", other, "-s", GRAPH))
    t.check("app.roles", lambda: want(auth("a7.json", "-p", secret, "-s", f"api://{app}/.default"), roles={"Things.Read.All"}))

    def obo(file, *args):
        token = t.ropc("user.json", "-c", "azcli", "-s", f"api://{app}/.default")
        return t.tokens(file, "appauthobo", "-c", app, "-t", t.tenant, "--tokenfile", file, *args, token)
    t.check("app.on-behalf-of.v1", lambda: want(obo("o1.json", "-p", secret, "-r", "msgraph"), aud=None, oid=world("USER_OID")))
    t.check("app.on-behalf-of.v2", lambda: want(obo("o2.json", "-p", secret, "-s", GRAPH), aud=None, oid=world("USER_OID")))
    t.check("app.on-behalf-of.certificate", lambda: want(obo("o3.json", *cert, "-s", GRAPH), aud=None, oid=world("USER_OID")))
    t.refuse("app.on-behalf-of.wrong-secret", "AADSTS7000215", lambda: obo("o4.json", "-p", "not " + secret, "-r", "msgraph"))
