"""The Azure CLI, unmodified: sign-in by every way that it has, and tokens out of its cache."""
import json
import os
import re
import subprocess
import sys
import time

from cases import Cases, Refused, approve, run, want, world

GRAPH, MANAGEMENT = "https://graph.microsoft.com", "https://management.core.windows.net/"


class CLI(Cases):
    def __init__(self):
        super().__init__("Azure CLI", "azure-cli")
        self.command = [sys.executable, "-B", "-m", "azure.cli"]
        self.tenant, self.user, self.password = world("TENANT"), world("USER"), world("PASSWORD")
        os.environ.update(AZURE_CORE_COLLECT_TELEMETRY="0", AZURE_CORE_NO_COLOR="1", AZURE_CORE_LOGIN_EXPERIENCE_V2="0")
        self.profile("start")

    def profile(self, name):
        """An empty profile: nobody is signed in."""
        os.environ["AZURE_CONFIG_DIR"] = os.path.join(os.getcwd(), "az-" + name)

    def run(self, *args):
        code, out, err = run([*self.command, *args])
        if code:
            raise Refused(words(err))
        return out

    def login(self, *args):
        """Sign in to the tenant; there is no subscription to look for."""
        accounts = json.loads(self.run("login", "--tenant", self.tenant, "--allow-no-subscriptions", "--skip-subscription-discovery", "-o", "json", *args))
        assert accounts[0]["tenantId"] == self.tenant, accounts
        return accounts[0]["user"]["name"]

    def token(self, resource, **expected):
        answer = json.loads(self.run("account", "get-access-token", "--tenant", self.tenant, "--resource", resource, "-o", "json"))
        return want(answer["accessToken"], aud=None, tid=self.tenant, **expected)


def words(err):
    """The server's words if they are in it, else the last line."""
    found = re.search(r"AADSTS\d+[^\r\n]*", err)
    lines = [line for line in err.splitlines() if line.strip() and "github.com" not in line]
    return found.group(0) if found else lines[-1] if lines else "no output"


def users(c):
    by_password = ("-u", c.user, "-p", c.password)

    def password():
        c.profile("password")
        assert c.login(*by_password) == c.user
        return c.token(MANAGEMENT, upn=c.user)
    if c.check("password", password):
        c.check("silent.other-resource", lambda: c.token(GRAPH, upn=c.user))
        c.check("graph.signed-in-user", lambda: json.loads(c.run("ad", "signed-in-user", "show", "-o", "json"))["userPrincipalName"])

        def logout():
            c.run("logout")
            return c.token(MANAGEMENT)
        c.refuse("logout", "az login", logout)

    def refused(name, *args):
        c.profile(name)
        return c.login(*args)
    c.refuse("wrong-password", "AADSTS50126", refused, "wrong", "-u", c.user, "-p", "not " + c.password)
    c.refuse("needs-mfa", "AADSTS50076", refused, "mfa", "-u", world("MFA_USER"), "-p", world("FACTOR_PASSWORD"))

    def browser():
        c.profile("browser")
        assert c.login() == c.user
        return c.token(MANAGEMENT, upn=c.user)
    c.check("interactive", browser)

    def device():
        c.profile("device")
        device_code(c)
        return c.token(MANAGEMENT, upn=c.user)
    c.check("device-code", device)

    def custom():
        """A cloud of its own under the server's own address. Not by password: for the
        user's realm the library asks the host without its port."""
        c.profile("cloud")
        c.run("cloud", "register", "-n", "lab", "--endpoint-active-directory", "https://" + world("HTTPS"), "--endpoint-resource-manager", "https://management.azure.com/",
              "--endpoint-active-directory-resource-id", MANAGEMENT, "--endpoint-microsoft-graph-resource-id", GRAPH + "/", "--skip-endpoint-discovery")
        c.run("cloud", "set", "-n", "lab")
        c.run("config", "set", "core.instance_discovery=false")
        assert c.login() == c.user
        return c.token(MANAGEMENT, upn=c.user)
    c.check("custom-cloud", custom)


def device_code(c):
    command = [*c.command, "login", "--use-device-code", "--tenant", c.tenant, "--allow-no-subscriptions", "--skip-subscription-discovery", "-o", "none"]
    with open("device-code.out", "w+", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            for _ in range(150):
                with open("device-code.out", encoding="utf-8") as said:
                    text = said.read()
                found = re.search(r"code ([A-Z0-9-]{6,})", text)
                if found or process.poll() is not None:
                    break
                time.sleep(0.2)
            if not found:
                raise Refused(words(text))
            approve(found.group(1))
            assert process.wait(timeout=60) == 0, words(open("device-code.out", encoding="utf-8").read())
        finally:
            process.kill()


def applications(c):
    app, secret = world("APP"), world("APP_SECRET")

    def login(name, *args):
        c.profile(name)
        assert c.login("--service-principal", "-u", app, *args) == app
        return c.token(MANAGEMENT)
    c.check("service-principal.secret", login, "secret", "-p", secret)
    c.refuse("service-principal.wrong-secret", "AADSTS7000215", login, "wrong-secret", "-p", "not " + secret)
    c.check("service-principal.certificate", login, "certificate", "--certificate", world("APP_PEM"))
    c.check("service-principal.certificate-chain", login, "chain", "--certificate", world("APP_PEM"), "--use-cert-sn-issuer")


if __name__ == "__main__":
    cli = CLI()
    users(cli)
    applications(cli)
