"""How the cases call roadtx."""
import json
import os
import re
import subprocess
import sys
import time

from cases import Cases, Refused, approve, run, world

# Words with which roadtx says that it did what it was asked to.
WRITTEN = "Tokens were written"
SAVED = "Saved PRT to"


class Tool(Cases):
    def __init__(self):
        super().__init__("ROADtools", "roadtx", "roadlib")
        self.command = os.path.join(os.path.dirname(sys.executable), "roadtx")
        self.user, self.password = world("USER"), world("PASSWORD")
        self.tenant = world("TENANT")

    def run(self, *args):
        """One command; answers what it printed."""
        _, out, err = run([self.command, *args])
        return out + err

    def must(self, pattern, file, *args):
        """A command that must print a pattern, and write a file if one is named. A
        refusal is what it printed in place of that."""
        remove(file)
        out = self.run(*args)
        assert "requests.exceptions" not in out and "TypeError" not in out and "KeyError" not in out, short(out)
        if not re.search(pattern, out):
            assert not (file and os.path.exists(file)), f"{file} was written, and it printed: {out}"
            raise Refused(short(out))
        assert not file or os.path.exists(file), f"{file} was not written: {out}"
        return out

    def tokens(self, file, *args):
        """A command that must write tokens; answers the access token."""
        self.must(WRITTEN, file, *args)
        return load(file)["accessToken"]

    def prt(self, file, *args):
        """A command that must save a PRT; answers it."""
        self.must(SAVED, file, "prt", "-f", file, *args)
        return load(file)

    def ropc(self, file, *args, user=None, password=None):
        return self.tokens(file, "gettokens", "-u", user or self.user, "-p", password or self.password, "-f", file, *args)

    def drs_token(self, **who):
        """A token for device registration in .roadtools_auth, by password."""
        return self.ropc(".roadtools_auth", "-c", "msbroker", "-r", "drs", **who)

    def device_code(self, file, *args, user=None, mfa=False):
        """Wait for the message, approve the code as the user, and let it finish."""
        remove(file)
        with open("device-code.out", "w+", encoding="utf-8") as out:
            process = subprocess.Popen([self.command, "gettokens", "--device-code", "-f", file, *args], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
            try:
                approve(self.user_code(process), user, mfa)
                process.wait(timeout=60)
            finally:
                process.kill()
        if not os.path.exists(file):
            raise Refused(short(read("device-code.out")))
        return load(file)["accessToken"]

    def user_code(self, process):
        for _ in range(100):
            found = re.search(r"code ([A-Z0-9-]{6,})", read("device-code.out"))
            if found:
                return found.group(1)
            if process.poll() is not None:
                break
            time.sleep(0.2)
        raise Refused(short(read("device-code.out")))


def short(out):
    """What a command said, fit for a table: the server's words if they are in it, else
    its last line, which is where a traceback says its error."""
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    found = re.search(r"(AADSTS\d+|0x801c[0-9a-f]{4})[^\\\"\r\n]*", out)
    if found:
        return found.group(0)
    return lines[-1][:280] if "Traceback" in out else " ".join(lines)[-280:]


def remove(file):
    if file and os.path.exists(file):
        os.remove(file)


def read(file):
    with open(file, encoding="utf-8") as f:
        return f.read()


def load(file):
    return json.loads(read(file))


