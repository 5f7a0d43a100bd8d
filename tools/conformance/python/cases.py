"""The language between the runner and the programs that hold a client in Python: one
JSON object a line on standard output for each case (internal/cases has the other side).
"""
import base64
import importlib.metadata
import json
import os
import subprocess
import traceback


class Refused(Exception):
    """A client was refused; the text is what it said."""


class Skipped(Exception):
    """A case cannot be run here; the text says why."""


def world(name):
    """One name of the run's environment (internal/serve/world.go)."""
    return os.environ["CONF_" + name]


class Cases:
    def __init__(self, client, *packages):
        self.client = client
        self.version = ", ".join(importlib.metadata.version(p) for p in packages)

    def write(self, name, verdict, reason=""):
        print(json.dumps({"client": self.client, "version": self.version, "case": name, "verdict": verdict, "reason": str(reason or "")}), flush=True)

    def check(self, name, function, *args):
        """Run a case that must succeed; what the function answers is what was seen. It
        answers whether the case passed."""
        try:
            seen = function(*args)
        except Skipped as e:
            self.write(name, "SKIP", e)
            return False
        except Exception as e:  # whatever a client raises is the case's failure
            self.write(name, "FAIL", f"{type(e).__name__}: {e} at {where(e)}")
            return False
        self.write(name, "PASS", seen)
        return True

    def refuse(self, name, want, function, *args):
        """Run a case that must be refused with a text that contains want."""
        def refused():
            try:
                function(*args)
            except Refused as e:
                assert want in str(e), f"refused, but not with {want}: {e}"
                return f"refused with {want}"
            raise AssertionError(f"it was accepted, and has to be refused with {want}")
        return self.check(name, refused)

    def skip(self, name, reason):
        self.write(name, "SKIP", reason)


def where(e):
    last = traceback.extract_tb(e.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}:{last.lineno}"


def claims(token):
    """The claims of a JWT; whether it is signed is looked at elsewhere."""
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def want(token, **expected):
    """Check claims; None means that the claim must be there. Answers what was seen."""
    have, seen = claims(token), []
    for name, value in expected.items():
        assert name in have, f"the token lacks the claim {name}"
        got = have[name]
        if isinstance(value, set):
            assert value <= set(got), f"the token's {name} is {got}, which lacks one of {sorted(value)}"
        elif value is not None:
            assert got == value, f"the token's {name} is {got!r}, not {value!r}"
        seen.append(f"{name} {got}")
    return ", ".join(seen)


def run(command, env=None, **kwargs):
    done = subprocess.run(command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=90, **kwargs)
    return done.returncode, done.stdout, done.stderr


def browse(url, stop, user=None, password=None, credential=None):
    """Sign in at an address as a person would; answers what was sent to stop."""
    env = {}
    if user:
        env.update(CONF_BROWSER_USER=user, CONF_BROWSER_PASSWORD=password)
    if credential:
        env["CONF_BROWSER_CREDENTIAL"] = credential
    code, out, err = run([world("BROWSER"), url, stop], env)
    if code:
        raise Refused(err.strip())
    sent = json.loads(out)
    if "code" not in sent:
        raise Refused(f"{sent.get('error')}: {sent.get('error_description')}")
    return sent


def tenant(*args):
    """lockstep tenant, against the server of the run."""
    code, out, err = run([world("LOCKSTEP"), "tenant", *args, "--state", world("STATE")])
    assert code == 0, f"lockstep tenant {args[0]}: {out}{err}"
    return out.strip()


def approve(code, user=None, mfa=False):
    """Play the user of a device code. What the user's page would say is a refusal."""
    try:
        tenant("approve-code", code, "--user", user or world("USER"), *(["--mfa"] if mfa else []))
    except AssertionError as e:
        if "AADSTS" in str(e):
            raise Refused(str(e)) from e
        raise


def demand_mfa(user):
    """From now on a second factor is asked of this user everywhere."""
    tenant("policy", "put", "Second factor for " + user, "--tenant", world("DOMAIN"), "--include-user", user, "--include-resource", "All", "--grant", "mfa")


def sign_ins(**fields):
    """The newest events of the sign-in log that have these fields, by their JSON names."""
    rows = [json.loads(line) for line in tenant("sign-ins", "--limit", "200", "--json").splitlines() if line.startswith("{")]
    return [row for row in rows if all(row.get(name) == value for name, value in fields.items())]
