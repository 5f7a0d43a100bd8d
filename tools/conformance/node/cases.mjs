// The language between the runner and the programs that hold a client in Node: one
// JSON object a line on standard output for each case.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const exec = promisify(execFile);
const seconds = 60;

export const world = (name) => process.env[`CONF_${name}`];

export class Cases {
  constructor(client, ...packages) {
    this.client = client;
    this.version = packages.map((p) => JSON.parse(readFileSync(new URL(`node_modules/${p}/package.json`, import.meta.url))).version).join(", ");
  }

  write(name, verdict, reason) {
    console.log(JSON.stringify({ client: this.client, version: this.version, case: name, verdict, reason: String(reason ?? "") }));
  }

  // check runs a case that must succeed; what it answers is what was seen.
  async check(name, run) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no end after ${seconds} s`)), seconds * 1000); });
    try {
      this.write(name, "PASS", await Promise.race([run(), late]));
      return true;
    } catch (e) {
      this.write(name, "FAIL", say(e));
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  // refuse runs a case that must be refused with a text that contains want.
  refuse(name, want, run) {
    return this.check(name, async () => {
      let seen;
      try {
        await run();
      } catch (e) {
        seen = say(e);
      }
      if (seen === undefined) throw new Error(`it was accepted, and has to be refused with ${want}`);
      if (!seen.includes(want)) throw new Error(`refused, but not with ${want}: ${seen}`);
      return `refused with ${want}`;
    });
  }
}

// say is everything that an error tells: clients hide the server's words in causes.
function say(e) {
  const parts = [];
  for (let at = e; at && parts.length < 5; at = at.cause) {
    parts.push([at.name, at.code, at.error, at.errorMessage ?? at.error_description ?? at.message].filter(Boolean).join(" "));
    if (at.cause === undefined || at.cause instanceof Response || !(at.cause instanceof Error)) {
      if (at.cause && !(at.cause instanceof Response)) parts.push(JSON.stringify(at.cause));
      break;
    }
  }
  return parts.join("; ");
}

export function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

// want checks claims; null means that the claim must be there.
export function want(token, expected) {
  const have = claims(token);
  return Object.entries(expected).map(([name, value]) => {
    if (!(name in have)) throw new Error(`the token lacks the claim ${name}`);
    if (value !== null && have[name] !== value) throw new Error(`the token's ${name} is ${have[name]}, not ${value}`);
    return `${name} ${have[name]}`;
  }).join(", ");
}

// browse signs the user in at an address and answers what was sent to stop; without
// stop it goes to the page of this machine where the client listens.
export async function browse(url, stop, user, password) {
  const env = user ? { ...process.env, CONF_BROWSER_USER: user, CONF_BROWSER_PASSWORD: password } : process.env;
  const { stdout } = await exec(world("BROWSER"), stop ? [url, stop] : [url], { env });
  if (!stop) return {};
  const sent = JSON.parse(stdout);
  if (!sent.code) throw new Error(`${sent.error}: ${sent.error_description}`);
  return sent;
}

export async function demandMFA(user) {
  await exec(world("LOCKSTEP"), ["tenant", "policy", "put", `Second factor for ${user}`, "--tenant", world("DOMAIN"),
    "--include-user", user, "--include-resource", "All", "--grant", "mfa", "--state", world("STATE")]);
}

export async function approve(code) {
  await exec(world("LOCKSTEP"), ["tenant", "approve-code", code, "--user", world("USER"), "--state", world("STATE")]);
}
