"""ROADtools in a window: the commands that drive Firefox with Selenium, unmodified. They
read the pages as a person does, by their elements, and run the pages' scripts.

Needs firefox and geckodriver on the PATH.
"""
import os
import re
import shutil

from cases import want, world
from roadtx_cli import Tool, load
from roadtx_device import DRS, device_id, register

# The authenticators of testdata/tenants.yaml.
SEEDS = {"MFA": "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK", "ENRICH": "NBSWY3DPO5XXE3DENBSWY3DPO5XXE3DE"}


class Window(Tool):
    """The browser takes no environment: roadtx hands it the proxy, and ends TLS itself."""

    def __init__(self):
        super().__init__()
        self.client = "ROADtools in Firefox"
        self.proxy = os.environ["HTTPS_PROXY"].removeprefix("http://")
        os.environ["MOZ_HEADLESS"] = "1"

    def window(self, command, *args):
        """A command that opens a window."""
        return self.run("-p", self.proxy, command, "-d", shutil.which("geckodriver"), *args)

    def window_tokens(self, file, command, *args):
        out = self.window(command, "--tokenfile", file, *args)
        assert os.path.exists(file), out[-300:]
        return load(file)["accessToken"]


def run(t):
    t.check("password", lambda: want(t.window_tokens("w1.json", "interactiveauth", "-u", t.user, "-p", t.password, "-c", "azcli", "-r", "msgraph"), upn=t.user))
    t.check("password.v2", lambda: want(t.window_tokens("w2.json", "interactiveauth", "-u", t.user, "-p", t.password, "-c", "azcli", "-s", "https://graph.microsoft.com/.default"), tid=t.tenant))

    def second_factor():
        user, password = world("MFA_WINDOW_USER"), world("FACTOR_PASSWORD")
        return want(t.window_tokens("w3.json", "interactiveauth", "-u", user, "-p", password, "-c", "azcli", "-r", "msgraph", "--otpseed", SEEDS["MFA"]), upn=user, amr={"mfa"})
    t.check("second-factor", second_factor)

    def custom_scheme():
        page = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
        return want(t.window_tokens("w4.json", "interactiveauth", "-u", t.user, "-p", t.password, "-c", "msbroker", "-r", "drs", "-ru", page), aud=DRS)
    t.check("custom-scheme", custom_scheme)
    if not t.check("device", lambda: t.drs_token() and register(t, "join", "window")):
        return
    with_prt(t)


def with_prt(t):
    key = ("-c", "window.pem", "-k", "window.key")
    t.check("prt", lambda: t.prt("window.prt", "-u", t.user, "-p", t.password, *key) and "a PRT")
    t.check("browserprtauth", lambda: want(t.window_tokens("w5.json", "browserprtauth", "-f", "window.prt", "-c", "azcli", "-r", "msgraph"), upn=t.user, deviceid=device_id("window")))
    user, password = world("ENRICH_WINDOW_USER"), world("FACTOR_PASSWORD")

    def enrich():
        t.prt("extra.prt", "-u", user, "-p", password, *key)
        out = t.window("prtenrich", "-u", user, "-f", "extra.prt", "--otpseed", SEEDS["ENRICH"])
        found = re.search(r"roadtx prt -r <refreshtoken>\s+(\S+)", out)
        assert found, out[-300:]
        t.prt("enriched.prt", "-r", found.group(1), *key)
        return want(t.tokens("w6.json", "prtauth", "-f", "enriched.prt", "-c", "azcli", "-r", "msgraph", "--tokenfile", "w6.json"), amr={"mfa"})
    t.check("prtenrich", enrich)


if __name__ == "__main__":
    tool = Window()
    missing = [program for program in ("firefox", "geckodriver") if not shutil.which(program)]
    if missing:
        tool.skip("all", f"cannot be had here: {' and '.join(missing)} not on the PATH")
    else:
        run(tool)
